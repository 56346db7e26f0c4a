// Command example gets an access token for the identity that SPIFFE gave this process, and
// calls an API with it. It needs an agent, such as SPIRE's, whose address is in
// SPIFFE_ENDPOINT_SOCKET, and an authorization server that trusts the agent's trust domain.
// It sends a JWT-SVID; with -x509 it presents the X.509-SVID in TLS instead.
//
//	go run github.com/certtoken/certtoken/ext/spiffe/example@latest \
//		-issuer https://issuer.example -client-id my-app -scope read -api https://api.example/things
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/spiffe"
)

// settings are the flags.
type settings struct {
	issuer, clientID string
	scope, api       string
	id               string
	x509             bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flags(), http.DefaultClient, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func flags() settings {
	var s settings
	flag.StringVar(&s.issuer, "issuer", "", "issuer of the tokens, an https URL")
	flag.StringVar(&s.clientID, "client-id", "", "client id; with many servers it is the SPIFFE ID")
	flag.StringVar(&s.scope, "scope", "", "scope to ask for")
	flag.StringVar(&s.api, "api", "", "URL of the API to call with the token")
	flag.StringVar(&s.id, "id", "", "SPIFFE ID to take; without it the agent's first one")
	flag.BoolVar(&s.x509, "x509", false, "present the X.509-SVID in TLS, instead of sending a JWT-SVID")
	flag.Parse()
	return s
}

func run(ctx context.Context, s settings, hc *http.Client, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client, closeSource, err := newClient(ctx, s, hc)
	if err != nil {
		return err
	}
	defer closeSource()
	defer client.Close()
	if err := client.Check(ctx, s.scope); err != nil { // fail now, not at the first request
		return err
	}
	target, err := url.Parse(s.api)
	if err != nil {
		return err
	}
	api := &http.Client{Transport: &certtoken.Transport{
		Client:  client,
		Base:    hc.Transport,
		Request: certtoken.Request{Scopes: []string{s.scope}},
		Hosts:   []string{target.Host},
	}}
	return call(ctx, api, s.api, out)
}

// newClient makes a client that proves itself by an SVID, and what closes the SVID's source.
func newClient(ctx context.Context, s settings, hc *http.Client) (*certtoken.Client, func() error, error) {
	var opts []spiffe.Option
	if s.id != "" {
		opts = append(opts, spiffe.WithID(s.id))
	}
	clientOpts := []certtoken.Option{certtoken.WithHTTPClient(hc), certtoken.WithLogger(slog.Default())}
	if s.x509 {
		return newX509Client(ctx, s, hc, opts, clientOpts)
	}
	authority, err := certtoken.Discover(ctx, s.issuer, certtoken.WithDiscoveryClient(hc))
	if err != nil {
		return nil, nil, err
	}
	source, err := spiffe.NewJWTSource(append(opts, spiffe.WithJWTSPIFFE())...)
	if err != nil {
		return nil, nil, err
	}
	if err := source.Wait(ctx, s.issuer); err != nil { // the agent may start together with this program
		return nil, nil, errors.Join(err, source.Close())
	}
	client, err := certtoken.NewFederatedClient(authority, s.clientID, source, clientOpts...)
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return client, source.Close, nil
}

func newX509Client(
	ctx context.Context, s settings, hc *http.Client, opts []spiffe.Option, clientOpts []certtoken.Option,
) (*certtoken.Client, func() error, error) {
	authority, err := certtoken.Discover(ctx, s.issuer,
		certtoken.WithDiscoveryClient(hc), certtoken.WithTLSClientAuth())
	if err != nil {
		return nil, nil, err
	}
	source, err := spiffe.NewX509Source(opts...)
	if err != nil {
		return nil, nil, err
	}
	if err := source.Wait(ctx); err != nil { // the agent may start together with this program
		return nil, nil, errors.Join(err, source.Close())
	}
	client, err := certtoken.NewClient(authority, s.clientID, source, clientOpts...)
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return client, source.Close, nil
}

// call makes one request to the API and prints the start of its answer.
func call(ctx context.Context, api *http.Client, url string, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := api.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, resp.Status)
	fmt.Fprintln(out, string(body))
	if resp.StatusCode != http.StatusOK {
		return errors.New("the API refused the request")
	}
	return nil
}
