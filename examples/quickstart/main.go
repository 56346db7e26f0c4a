// Command quickstart shows the whole way from a certificate to an access token.
//
//	go run ./examples/quickstart
//
// makes a certificate, starts a token endpoint on this machine and gets a token
// from it. With -tenant, -client-id and -cert the same steps run against
// Microsoft Entra ID:
//
//	AZURE_CLIENT_CERTIFICATE_PASSWORD=… go run ./examples/quickstart \
//	  -tenant contoso.onmicrosoft.com -client-id … -cert private.pfx
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	err := run(ctx, os.Args[1:])
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &wrong):
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	tenant, err := parse(args)
	if err != nil {
		return err
	}
	if tenant != nil {
		return story(ctx, *tenant)
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

// envPassword holds the password of -cert. It isn't a flag: every process on the
// machine could read it there.
const envPassword = "AZURE_CLIENT_CERTIFICATE_PASSWORD"

// usageError is a mistake in the arguments.
type usageError string

func (e usageError) Error() string { return string(e) + " (-h shows the flags)" }

// parse reads the flags. Without any everything happens on this machine, and the
// settings are nil.
func parse(args []string) (*settings, error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	tenant := flags.String("tenant", "", "Entra tenant, GUID or domain; without it everything happens on this machine")
	clientID := flags.String("client-id", "", "application (client) id")
	cert := flags.String("cert", "", "PFX or PEM file; its password, if it has one, is in the environment variable "+envPassword)
	scope := flags.String("scope", "https://graph.microsoft.com/.default", "scope to ask for")
	api := flags.String("api", "https://graph.microsoft.com/v1.0/organization", "API to call with the token")
	var problem bytes.Buffer
	flags.SetOutput(&problem)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(problem.String())
		return nil, err
	case err != nil:
		return nil, usageError(err.Error())
	case flags.NArg() > 0:
		return nil, usageError("there are flags only, no other arguments")
	case flags.NFlag() == 0:
		return nil, nil
	}
	for _, needed := range []struct{ name, value string }{{"tenant", *tenant}, {"client-id", *clientID}, {"cert", *cert}} {
		if needed.value == "" {
			return nil, usageError("-" + needed.name + " is missing: -tenant, -client-id and -cert go together")
		}
	}
	return &settings{
		authority: certtoken.Entra(*tenant),
		clientID:  *clientID,
		certFile:  *cert,
		password:  os.Getenv(envPassword),
		scope:     *scope,
		api:       *api,
	}, nil
}

// certificate is the source of the file. An empty password is none.
func (s settings) certificate() certtoken.CertSource {
	if s.password == "" {
		return certtoken.CertFile(s.certFile)
	}
	return certtoken.CertFile(s.certFile, certtoken.WithPassword(s.password))
}

// explain names the variable in errors about the password.
func explain(err error) error {
	switch {
	case errors.Is(err, certtoken.ErrPasswordRequired):
		return fmt.Errorf("%w: set %s", err, envPassword)
	case errors.Is(err, certtoken.ErrWrongPassword):
		return fmt.Errorf("%w: it came from %s", err, envPassword)
	}
	return err
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
	source := s.certificate()
	client, err := certtoken.NewClient(s.authority, s.clientID, source, opts...)
	if err != nil {
		return err
	}
	defer client.Close()

	cert, err := source.Certificate(ctx)
	if err != nil {
		return explain(err)
	}
	fmt.Printf("3. The certificate is loaded from %s (%s, RSA, valid until %s).\n",
		filepath.Base(s.certFile), cert.FileFormat(), cert.Leaf.NotAfter.Format(time.DateOnly))

	started := time.Now()
	token, err := client.Token(ctx, s.scope)
	if err != nil {
		return err
	}
	fmt.Printf("4. A signed assertion was exchanged for a token, in %v:\n",
		time.Since(started).Round(100*time.Microsecond))
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
	target, err := url.Parse(s.api)
	if err != nil {
		return "", "", err
	}
	api := &http.Client{
		Transport: &certtoken.Transport{
			Client:  client,
			Base:    base,
			Request: certtoken.Request{Scopes: []string{s.scope}},
			Hosts:   []string{target.Host}, // no other host is given the token
		},
		Timeout: 30 * time.Second,
	}
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
