// Command example gets an access token with a key in an HSM or on a smart card
// and calls Microsoft Graph. The PIN is asked for on the terminal, or read from a
// file that only the program can read.
//
//	go run github.com/certtoken/certtoken/ext/pkcs11/example@latest \
//		-module /usr/lib/softhsm/libsofthsm2.so -token certtoken -key my-app \
//		-pin-file pin -tenant contoso.onmicrosoft.com -client-id 7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f
package main

import (
	"bufio"
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
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/pkcs11"
)

// settings are the flags.
type settings struct {
	module, token, key string
	pinFile            string
	tenant, clientID   string
	scope, api         string
}

func main() {
	var s settings
	flag.StringVar(&s.module, "module", "", "PKCS #11 library of the token's maker")
	flag.StringVar(&s.token, "token", "", "label of the token")
	flag.StringVar(&s.key, "key", "", "label of the private key")
	flag.StringVar(&s.pinFile, "pin-file", "", "file with the PIN; without it the terminal is asked")
	flag.StringVar(&s.tenant, "tenant", "", "tenant of the application, GUID or domain")
	flag.StringVar(&s.clientID, "client-id", "", "application (client) id")
	flag.StringVar(&s.scope, "scope", "https://graph.microsoft.com/.default", "scope to ask for")
	flag.StringVar(&s.api, "api", "https://graph.microsoft.com/v1.0/organization", "API to call with the token")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, http.DefaultClient, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, hc *http.Client, in io.Reader, out io.Writer) error {
	source, err := pkcs11.New(s.module,
		pkcs11.WithTokenLabel(s.token),
		pkcs11.WithKeyLabel(s.key),
		pkcs11.WithPIN(pinFrom(s.pinFile, in, out)),
	)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := source.Login(ctx); err != nil { // the prompt comes now, not with the first request
		return err
	}
	client, err := certtoken.NewClient(certtoken.Entra(s.tenant), s.clientID, source,
		certtoken.WithHTTPClient(hc), certtoken.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer client.Close()

	cert, err := source.Certificate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "signed by", cert)
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

// pinFrom reads the PIN anew at each login, so that the program keeps none.
func pinFrom(path string, in io.Reader, out io.Writer) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if path != "" {
			data, err := os.ReadFile(path)
			return strings.TrimSpace(string(data)), err
		}
		fmt.Fprint(out, "PIN (shown while you type): ")
		line, err := bufio.NewReader(in).ReadString('\n')
		return strings.TrimSpace(line), err
	}
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
