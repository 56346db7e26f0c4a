// Command example gets an access token with a certificate in the Windows
// certificate store, and calls Microsoft Graph.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certstore"
)

func main() {
	subject := flag.String("subject", "", "common name of the certificate")
	machine := flag.Bool("machine", false, "look in the machine's store instead of the user's")
	tenant := flag.String("tenant", "", "tenant of the application, GUID or domain")
	clientID := flag.String("client-id", "", "application (client) id")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *subject, *machine, *tenant, *clientID); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, subject string, machine bool, tenant, clientID string) error {
	options := []certstore.Option{certstore.WithSubject(subject)}
	if machine {
		options = append(options, certstore.WithLocalMachine())
	}
	source, err := certstore.New(options...)
	if err != nil {
		return err
	}
	// The providers of some keys, such as older TPMs', don't do PSS as Entra ID wants it.
	authority := certtoken.Entra(tenant, certtoken.WithPSSFallback())
	client, err := certtoken.NewClient(authority, clientID, source)
	if err != nil {
		return err
	}
	defer client.Close()

	api := &http.Client{Transport: &certtoken.Transport{
		Client:  client,
		Request: certtoken.Request{Scopes: []string{"https://graph.microsoft.com/.default"}},
		Hosts:   []string{"graph.microsoft.com"},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.microsoft.com/v1.0/organization", nil)
	if err != nil {
		return err
	}
	resp, err := api.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
