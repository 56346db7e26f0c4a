// Command example gets an access token with a key in this machine's TPM and calls Microsoft
// Graph. If there is no key yet, it has the TPM make one, writes public.cer beside it, which is
// to be uploaded to the app registration, and ends.
//
//	go run github.com/certtoken/certtoken/ext/tpm/example@latest \
//		-key private.tpm -tenant contoso.onmicrosoft.com -client-id 7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f
package main

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/selfsigned"
)

// settings are the flags.
type settings struct {
	device, key      string
	tenant, clientID string
	scope, api       string
}

func main() {
	var s settings
	flag.StringVar(&s.device, "device", "", "the TPM's device; by default the machine's own")
	flag.StringVar(&s.key, "key", "private.tpm", "file of the key and its certificate")
	flag.StringVar(&s.tenant, "tenant", "", "tenant of the application, GUID or domain")
	flag.StringVar(&s.clientID, "client-id", "", "application (client) id")
	flag.StringVar(&s.scope, "scope", "https://graph.microsoft.com/.default", "scope to ask for")
	flag.StringVar(&s.api, "api", "https://graph.microsoft.com/v1.0/organization", "API to call with the token")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, http.DefaultClient, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, hc *http.Client, out io.Writer) error {
	var opts []tpm.Option
	if s.device != "" {
		opts = append(opts, tpm.WithDevice(s.device))
	}
	if _, err := os.Stat(s.key); errors.Is(err, fs.ErrNotExist) {
		return create(ctx, s.key, opts, out)
	}
	source, err := tpm.FromFile(s.key, opts...)
	if err != nil {
		return err
	}
	client, err := certtoken.NewClient(certtoken.Entra(s.tenant), s.clientID, source,
		certtoken.WithHTTPClient(hc), certtoken.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer client.Close()

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

// create has the TPM make a key, and a certificate that the key signs itself.
func create(ctx context.Context, path string, opts []tpm.Option, out io.Writer) error {
	file, err := tpm.Create(ctx, tpm.NewKey{}, opts...)
	if err != nil {
		return err
	}
	source, err := tpm.FromData(file, append(opts, tpm.WithoutCertificate())...)
	if err != nil {
		return err
	}
	key, err := source.Certificate(ctx)
	if err != nil {
		return err
	}
	cert, err := selfsigned.For(ctx, key.Signer, selfsigned.Options{Subject: "my-app"})
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	if err := os.WriteFile(path, slices.Concat(certificate, file), 0o600); err != nil {
		return err
	}
	public := filepath.Join(filepath.Dir(path), "public.cer")
	if err := os.WriteFile(public, cert.Leaf.Raw, 0o644); err != nil {
		return err
	}
	fmt.Fprintln(out, "made", cert)
	fmt.Fprintln(out, "upload", public, "to the app registration, then run this again")
	return nil
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
