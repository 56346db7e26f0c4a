// Command quickstart shows the whole way from a certificate to an access token.
//
//	go run ./examples/quickstart
//
// makes a certificate, starts a token endpoint on this machine and gets a token
// from it. With -tenant, -client-id and -cert the same steps run against
// Microsoft Entra ID:
//
//	QUICKSTART_PASSWORD=… go run ./examples/quickstart -tenant contoso.onmicrosoft.com -client-id … -cert private.pfx
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// settings are what differs between the endpoint on this machine and the real
// service.
type settings struct {
	authority certtoken.Authority
	clientID  string
	certFile  string
	password  string
	scope     string
	api       string       // called with the token
	http      *http.Client // nil: the default
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tenant := flag.String("tenant", "", "Entra tenant, GUID or domain; without it everything happens on this machine")
	clientID := flag.String("client-id", "", "application (client) id")
	cert := flag.String("cert", "", "PFX or PEM file; its password, if any, is in QUICKSTART_PASSWORD")
	scope := flag.String("scope", "https://graph.microsoft.com/.default", "scope to ask for")
	api := flag.String("api", "https://graph.microsoft.com/v1.0/organization", "API to call with the token")
	flag.Parse()

	if *tenant != "" {
		return story(ctx, settings{
			authority: certtoken.Entra(*tenant),
			clientID:  *clientID,
			certFile:  *cert,
			password:  os.Getenv("QUICKSTART_PASSWORD"),
			scope:     *scope,
			api:       *api,
		})
	}
	dir, err := os.MkdirTemp("", "quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	local, server, err := onThisMachine(dir)
	if err != nil {
		return err
	}
	defer server.Close()
	return story(ctx, local)
}

// onThisMachine makes the certificate as the article does, registers its public
// half at a token endpoint that listens on loopback, and puts an API there that
// wants a token.
func onThisMachine(dir string) (settings, *certtokentest.Server, error) {
	const (
		clientID = "7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f"
		audience = "https://management.azure.com"
		password = "a password of the example"
	)
	cert, err := selfsigned.New(selfsigned.Options{Subject: "quickstart-demo"})
	if err != nil {
		return settings{}, nil, err
	}
	files, err := selfsigned.WriteFiles(dir, cert, password, selfsigned.WriteOptions{})
	if err != nil {
		return settings{}, nil, err
	}
	fmt.Println("1. A self-signed certificate, as New-SelfSignedCertificate makes it:")
	fmt.Printf("     %-12s to upload to the app registration\n", filepath.Base(files.CER))
	fmt.Printf("     %-12s the private key, under a password; it never leaves this machine\n", filepath.Base(files.PFX))

	server, err := certtokentest.Start()
	if err != nil {
		return settings{}, nil, err
	}
	server.Register(clientID, cert.Leaf)
	server.Handle("/api/subscriptions", server.Resource(audience, nil))
	fmt.Println("2. A token endpoint on this machine that knows the certificate, in place of Entra ID:")
	fmt.Printf("     %s\n", server.TokenURL())
	return settings{
		authority: server.Authority(),
		clientID:  clientID,
		certFile:  files.PFX,
		password:  password,
		scope:     audience + "/.default",
		api:       server.URL() + "/api/subscriptions",
		http:      server.Client(),
	}, server, nil
}

// story is what every program does with the library: a client, a token, a call.
func story(ctx context.Context, s settings) error {
	var opts []certtoken.Option
	if s.http != nil {
		opts = append(opts, certtoken.WithHTTPClient(s.http))
	}
	source := certtoken.CertFile(s.certFile, certtoken.WithPassword(s.password))
	client, err := certtoken.NewClient(s.authority, s.clientID, source, opts...)
	if err != nil {
		return err
	}
	defer client.Close()

	cert, err := source.Certificate(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("3. The certificate is loaded from %s (%s, RSA, valid until %s).\n",
		filepath.Base(s.certFile), cert.FileFormat(), cert.Leaf.NotAfter.Format(time.DateOnly))

	started := time.Now()
	token, err := client.Token(ctx, s.scope)
	if err != nil {
		return err
	}
	fmt.Printf("4. A signed assertion was exchanged for a token, in %v:\n", time.Since(started).Round(100*time.Microsecond))
	fmt.Printf("     %s token of %d bytes for %v, until %s, renewed from %s\n", token.Type(), len(token.AccessToken()),
		token.Scopes(), token.ExpiresAt().Format(time.TimeOnly), token.RenewAt().Format(time.TimeOnly))

	started = time.Now()
	again, err := client.Token(ctx, s.scope)
	if err != nil {
		return err
	}
	if again != token {
		return errors.New("the second token should have come from the cache")
	}
	fmt.Printf("5. Asked again: the same token from the cache, in %v.\n", time.Since(started))

	status, body, err := call(ctx, client, s)
	if err != nil {
		return err
	}
	fmt.Printf("6. The API, called through client.Transport, answered %s:\n     %.200s\n", status, body)
	if status != "200 OK" {
		return fmt.Errorf("the API answered %s", status)
	}
	fmt.Println("Done: certificate in, token out.")
	return nil
}

// call lets the transport put the token on the request.
func call(ctx context.Context, client *certtoken.Client, s settings) (status, body string, err error) {
	var base http.RoundTripper
	if s.http != nil {
		base = s.http.Transport
	}
	api := &http.Client{Transport: client.Transport(base, s.scope), Timeout: 30 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api, nil)
	if err != nil {
		return "", "", err
	}
	resp, err := api.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.Status, string(data), err
}
