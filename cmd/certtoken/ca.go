package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/connections"
)

// httpClient makes a client that uses the proxies that the environment names. A CA file
// adds root certificates to those of the system.
func httpClient(ctx context.Context, c *console.Console, caFile string) (*http.Client, error) {
	transport := connections.New(idleConnections, connections.DefaultHealth)
	if caFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	data, err := readInput(ctx, c, caFile, "the CA's certificate", input.MaxFile)
	if err != nil {
		return nil, failure.Errorf("--ca: %w", err).Advise("Give the file with the CA's certificate, PEM or DER.")
	}
	public, err := certfile.ParsePublic(data)
	if err != nil {
		return nil, failure.Errorf("--ca %s: %w", caFile, withoutPair(err)).
			Advise("Give the CA's certificate, PEM or DER, without a key.")
	}
	for _, cert := range public.Certificates {
		roots.AddCert(cert)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

// withoutPair is an error about a file of public certificates. The library's errors begin
// with what a file with a key is.
func withoutPair(err error) error { return &publicError{err} }

type publicError struct{ err error }

func (e *publicError) Unwrap() error { return e.err }

func (e *publicError) Error() string {
	return strings.TrimPrefix(e.err.Error(), certtoken.ErrFormat.Error()+": ")
}

// idleConnections is how many unused connections are kept: the command makes one request
// after another.
const idleConnections = 2
