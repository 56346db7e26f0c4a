// Command example gets an access token with a certificate in Azure Key Vault and
// calls Microsoft Graph. The private key stays in the vault; with -exportable it
// is read instead. It runs where there is a managed identity: on a virtual
// machine, in a container app, a function, or a cluster.
//
//	go run github.com/certtoken/certtoken/ext/keyvault/example@latest \
//		-vault https://contoso.vault.azure.net -certificate my-app \
//		-tenant contoso.onmicrosoft.com -client-id 7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f
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

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/keyvault"
)

// settings are the flags.
type settings struct {
	vault, certificate string
	exportable         bool
	identity           string
	tenant, clientID   string
	scope, api         string
}

// surroundings are what a test puts in the place of Azure.
type surroundings struct {
	credential azcore.TokenCredential // nil: the managed identity
	vault      azcore.ClientOptions
	http       *http.Client
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flags(), surroundings{http: http.DefaultClient}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func flags() settings {
	var s settings
	flag.StringVar(&s.vault, "vault", "", "URL of the vault")
	flag.StringVar(&s.certificate, "certificate", "", "name of the certificate in it")
	flag.BoolVar(&s.exportable, "exportable", false, "read the private key from the vault instead of signing there")
	flag.StringVar(&s.identity, "identity", "", "client id of a user-assigned managed identity; without it the "+
		"machine's own")
	flag.StringVar(&s.tenant, "tenant", "", "tenant of the application, GUID or domain")
	flag.StringVar(&s.clientID, "client-id", "", "application (client) id")
	flag.StringVar(&s.scope, "scope", "https://graph.microsoft.com/.default", "scope to ask for")
	flag.StringVar(&s.api, "api", "https://graph.microsoft.com/v1.0/organization", "API to call with the token")
	flag.Parse()
	return s
}

func run(ctx context.Context, s settings, around surroundings, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	source, err := newSource(s, around)
	if err != nil {
		return err
	}
	client, err := certtoken.NewClient(certtoken.Entra(s.tenant), s.clientID, source,
		certtoken.WithHTTPClient(around.http), certtoken.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Check(ctx, s.scope); err != nil { // fail now, not at the first request
		return err
	}
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
		Base:    around.http.Transport,
		Request: certtoken.Request{Scopes: []string{s.scope}},
		Hosts:   []string{target.Host},
	}}
	return call(ctx, api, s.api, out)
}

// newSource opens the vault with the managed identity.
func newSource(s settings, around surroundings) (*keyvault.Source, error) {
	credential := around.credential
	if credential == nil {
		options := &azidentity.ManagedIdentityCredentialOptions{}
		if s.identity != "" {
			options.ID = azidentity.ClientID(s.identity)
		}
		identity, err := azidentity.NewManagedIdentityCredential(options)
		if err != nil {
			return nil, err
		}
		credential = identity
	}
	options := keyvault.WithClientOptions(around.vault)
	if s.exportable {
		return keyvault.FromSecret(s.vault, s.certificate, credential, options)
	}
	return keyvault.FromKey(s.vault, s.certificate, credential, options)
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
