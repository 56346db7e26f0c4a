package main

import (
	"fmt"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// serveInfo is what a client has to know.
type serveInfo struct {
	TokenURL string   `json:"token_url"`
	Issuer   string   `json:"issuer,omitempty"`
	CAFile   string   `json:"ca_file,omitempty"`
	GraphURL string   `json:"graph_url,omitempty"`
	Clients  []string `json:"clients"`
	Command  string   `json:"command"`

	Applications map[string]string `json:"applications,omitempty"` // object ids at Microsoft Graph, by client

	scopes []string // that are granted; empty: any
	dpop   bool     // proofs are wanted
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
	if info.GraphURL != "" {
		rows = append(rows, row{"Graph", info.GraphURL})
	}
	for _, client := range clients {
		rows = append(rows, row{"Client", client.id + ", " + client.proof()})
		if id := info.Applications[client.id]; id != "" {
			rows = append(rows, row{"Object id", id})
		}
	}
	printRows(c, rows)
	c.Printf("\nTry it:\n  %s\n", strings.Join(lines, " \\\n    "))
	if info.GraphURL != "" {
		c.Printf("\nRotate its certificate:\n  %s\n", strings.Join(info.rotateLines(clients[0]), " \\\n    "))
	}
	c.Printf("\nInterrupt it (Ctrl-C) to end it.\n")
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
		fmt.Sprintf("--client-id %s --cert %s", shellWord(client.id), shellWord(client.private)),
		"--scope " + shellWord(scope),
	}
	if info.dpop {
		lines = append(lines, `--dpop --proof-for "GET https://api.example/" --header`)
	}
	if info.CAFile == "" {
		return append(lines, "--allow-http-loopback")
	}
	return append(lines, "--ca "+shellWord(info.CAFile))
}

// rotateLines is a command that rotates a client's certificate at this server, as lines.
func (info serveInfo) rotateLines(client servedClient) []string {
	return []string{
		"certtoken rotate --now --wait 5m --authority entra",
		"--token-url " + shellWord(info.TokenURL),
		fmt.Sprintf("--client-id %s --cert %s", shellWord(client.id), shellWord(client.private)),
		"--graph " + info.Applications[client.id],
		"--graph-url " + shellWord(info.GraphURL),
		"--ca " + shellWord(info.CAFile),
	}
}
