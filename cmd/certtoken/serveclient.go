package main

import (
	"context"
	"crypto/rsa"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// servedClient is a client, and what it is registered with: a certificate, a JWK Set,
// or the URL of one.
type servedClient struct {
	id   string
	file string     // "" for a URL
	cert *shownCert // nil: no certificate
	set  []byte     // nil: no JWK Set
	url  string     // "": none

	private string // where its private key probably is
}

// readServedClients reads what --client ID=FILE and --jwks-uri ID=URL name.
func readServedClients(ctx context.Context, c *console.Console, specs, urls []string) ([]servedClient, error) {
	if len(specs) == 0 && len(urls) == 0 {
		return nil, failure.Usagef("missing --client").
			Advise("Give an id and a public certificate: --client my-app=public.cer",
				"\"certtoken cert new\" makes one.")
	}
	var clients []servedClient
	byKeys := make(map[string]bool)
	for i, spec := range append(specs[:len(specs):len(specs)], urls...) {
		read, flag, example := readServedFile, "--client", "give ID=FILE, such as my-app=public.cer"
		if i >= len(specs) {
			read, flag, example = readServedURL, "--jwks-uri", "give ID=URL, such as my-app=https://my-app.example/jwks"
		}
		id, value, ok := strings.Cut(spec, "=")
		if !ok || id == "" || value == "" {
			return nil, failure.Usagef("%s %q: %s", flag, spec, example)
		}
		client, err := read(ctx, c, value)
		if err != nil {
			return nil, err
		}
		client.id, client.private = id, client.privateFile(ctx)
		if client.cert == nil {
			if byKeys[id] {
				return nil, failure.Usagef("client %q has several JWK Sets: put all its keys into one", id)
			}
			byKeys[id] = true
		}
		clients = append(clients, client)
	}
	return clients, nil
}

func readServedURL(_ context.Context, _ *console.Console, url string) (servedClient, error) {
	return servedClient{url: url}, nil
}

// readServedFile reads a certificate, or a JWK or JWK Set.
func readServedFile(ctx context.Context, c *console.Console, file string) (servedClient, error) {
	data, err := readInput(ctx, c, file, "the client's certificate", input.MaxFile)
	if err != nil {
		return servedClient{}, failure.Errorf("--client: %w", err)
	}
	if jwk.Is(data) {
		return servedClient{file: file, set: data}, nil
	}
	cert, err := parsePublic(data, "")
	if err != nil {
		return servedClient{}, failure.Errorf("--client: %s: %w", file, withoutPair(err)).
			Advise("Give the client's public certificate, DER or PEM, such as public.cer, or its public JWK Set.",
				"\"certtoken cert convert private.pfx public.cer\" takes it out of a PFX.")
	}
	return servedClient{file: file, cert: cert}, nil
}

// register makes the client known. Entra ID takes RSA certificates and nothing else.
func (c servedClient) register(endpoint *certtokentest.Server, entra bool) error {
	switch {
	case entra && c.cert == nil:
		return failure.Usagef("client %q has no certificate: Entra ID knows no JWK Set", c.id).
			Advise("Be another OAuth server: --issuer self")
	case entra && !isRSA(c.cert):
		return failure.Usagef("client %q has %s: Entra ID takes RSA only", c.id, jws.Describe(c.cert.leaf.PublicKey)).
			Advise("Be another OAuth server: --issuer self")
	case c.cert != nil:
		endpoint.Register(c.id, c.cert.leaf)
	case c.set != nil:
		if err := endpoint.RegisterJWKS(c.id, c.set); err != nil {
			return failure.Errorf("--client: %s: %w", c.file, failure.Clean(err)).
				Advise("Give the JWK Set with the client's public keys.", "\"certtoken jwks FILE\" prints it.")
		}
	default:
		client := &http.Client{Timeout: 10 * time.Second}
		if err := endpoint.RegisterJWKSURI(c.id, c.url, client); err != nil {
			return failure.Usagef("--jwks-uri: %w", failure.Clean(err))
		}
	}
	return nil
}

func isRSA(cert *shownCert) bool {
	_, ok := cert.leaf.PublicKey.(*rsa.PublicKey)
	return ok
}

// proof says for people what the client proves itself with.
func (c servedClient) proof() string {
	switch {
	case c.url != "":
		return "the keys at " + c.url
	case c.cert == nil:
		return "the keys in " + c.file
	case isRSA(c.cert):
		return c.cert.subject()
	}
	return c.cert.subject() + ", " + jws.Describe(c.cert.leaf.PublicKey)
}

// privateFile guesses the name of the file with the private key: that with the certificate,
// or one that "cert new" writes beside it. A PFX can't be looked into without its password.
func (c servedClient) privateFile(ctx context.Context) string {
	if c.cert == nil {
		return filePFX
	}
	folder := filepath.Dir(c.file)
	pfx := filepath.Join(folder, filePFX)
	guesses := []string{c.file, filepath.Join(folder, fileTPM)}
	if _, err := os.Stat(pfx); err == nil {
		guesses = append(guesses, pfx)
	}
	for _, guess := range append(guesses, filepath.Join(folder, filePEM)) {
		if guess == pfx || c.hasKeyIn(ctx, guess) {
			return guess
		}
	}
	return filePFX
}

// hasKeyIn reports whether a file holds the client's certificate and a private key.
func (c servedClient) hasKeyIn(ctx context.Context, name string) bool {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	data, err := input.File(name, nil).Limit(input.MaxFile).Read(ctx)
	if err != nil || !isTPMKey(data) && !keyLabel().Match(data) {
		return false
	}
	cert, err := parsePublic(data, "")
	return err == nil && cert.leaf.Equal(c.cert.leaf)
}
