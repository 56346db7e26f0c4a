package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/certfile"
)

// httpClient makes a client that takes proxies from the environment. A CA file
// adds root certificates to those of the system.
func httpClient(ctx context.Context, c *console.Console, caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	data, err := input.File(caFile, c.In).Read(ctx)
	if err != nil {
		return nil, failure.Errorf("--ca: %w", err)
	}
	public, err := certfile.ParsePublic(data)
	if err != nil {
		return nil, failure.Errorf("--ca %s: %w", caFile, err).
			Advise("Give the CA's certificate, PEM or DER, without a key.")
	}
	for _, cert := range public.Certificates {
		roots.AddCert(cert)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}
