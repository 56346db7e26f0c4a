package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// serveInfo is what a client has to know.
type serveInfo struct {
	TokenURL string   `json:"token_url"`
	Issuer   string   `json:"issuer,omitempty"`
	CAFile   string   `json:"ca_file,omitempty"`
	Clients  []string `json:"clients"`
	Command  string   `json:"command"`

	scopes []string // that are granted; empty: any
}

// announce prints what a client has to know, and a command to try.
func (info serveInfo) announce(c *console.Console, clients []servedClient, asJSON bool) error {
	for _, client := range clients {
		info.Clients = append(info.Clients, client.id)
	}
	lines := info.tryLines(clients[0])
	info.Command = strings.Join(lines, " ")
	if asJSON {
		return c.PrintJSON(info)
	}
	rows := []row{{"Endpoint", info.TokenURL}}
	if info.Issuer != "" {
		rows = append(rows, row{"Issuer", info.Issuer})
	}
	if info.CAFile != "" {
		rows = append(rows, row{"CA file", info.CAFile})
	}
	for _, client := range clients {
		rows = append(rows, row{"Client", client.id + ", " + client.cert.subject()})
	}
	printRows(c, rows)
	c.Printf("\nTry it:\n  %s\n\nInterrupt it (Ctrl-C) to end it.\n", strings.Join(lines, " \\\n    "))
	return c.WriteError()
}

// tryLines is a command that gets a token from this server, as lines.
func (info serveInfo) tryLines(client servedClient) []string {
	authority, scope := "entra", "https://graph.microsoft.com/.default"
	if info.Issuer != "" {
		authority, scope = info.Issuer, "read"
	}
	if len(info.scopes) > 0 {
		scope = info.scopes[0]
	}
	lines := []string{
		"certtoken token --authority " + shellWord(authority),
		"--token-url " + shellWord(info.TokenURL),
		fmt.Sprintf("--client-id %s --cert %s", shellWord(client.id), shellWord(privateFile(client.file))),
		"--scope " + shellWord(scope),
	}
	if info.CAFile == "" {
		return append(lines, "--allow-http-loopback")
	}
	return append(lines, "--ca "+shellWord(info.CAFile))
}

// privateFile guesses the name of the file with the private key: "cert new" writes
// it beside the public certificate.
func privateFile(public string) string {
	guess := filepath.Join(filepath.Dir(public), "private.pfx")
	if _, err := os.Stat(guess); err == nil {
		return guess
	}
	return "private.pfx"
}
