package main

import (
	"context"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
)

// servedClient is a client and the certificate that it proves itself with.
type servedClient struct {
	id   string
	file string
	cert *shownCert
}

// readServedClients reads the certificates that --client ID=FILE names.
func readServedClients(ctx context.Context, c *console.Console, specs []string) ([]servedClient, error) {
	if len(specs) == 0 {
		return nil, failure.Usagef("missing --client").
			Advise("Give an id and a public certificate: --client my-app=public.cer",
				"\"certtoken cert new\" makes one.")
	}
	var clients []servedClient
	for _, spec := range specs {
		id, file, ok := strings.Cut(spec, "=")
		if !ok || id == "" || file == "" {
			return nil, failure.Usagef("--client %q: give ID=FILE, such as my-app=public.cer", spec)
		}
		data, err := input.File(file, c.In).Read(ctx)
		if err != nil {
			return nil, failure.Errorf("--client: %w", err)
		}
		cert, err := parsePublic(data, "")
		if err != nil {
			return nil, failure.Errorf("--client: %s: %w", file, err).
				Advise("Give the client's public certificate, DER or PEM, such as public.cer.",
					"\"certtoken cert show\" shows what is in a file.")
		}
		clients = append(clients, servedClient{id, file, cert})
	}
	return clients, nil
}
