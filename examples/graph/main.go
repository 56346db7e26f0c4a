// Command graph lists the users of a tenant through Microsoft Graph with plain
// net/http: the transport puts the token on each request.
//
//	TENANT=contoso.onmicrosoft.com CLIENT_ID=… CERT=private.pfx \
//	AZURE_CLIENT_CERTIFICATE_PASSWORD=… go run ./examples/graph
//
// The app registration needs the application permission User.Read.All.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/certtoken/certtoken"
)

const scope = "https://graph.microsoft.com/.default"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "graph:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	client, err := certtoken.NewClient(
		certtoken.Entra(os.Getenv("TENANT")),
		os.Getenv("CLIENT_ID"),
		certtoken.CertFile(os.Getenv("CERT"), certtoken.WithPassword(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))),
		certtoken.WithCapabilities("cp1"), // the transport answers claims challenges
		certtoken.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Check(ctx, scope); err != nil {
		return err
	}

	graph := &http.Client{
		Transport: &certtoken.Transport{
			Client:  client,
			Request: certtoken.Request{Scopes: []string{scope}},
			Hosts:   []string{"graph.microsoft.com"}, // the link to the next page is Graph's to choose
		},
		Timeout: time.Minute,
	}
	for next := "https://graph.microsoft.com/v1.0/users?$select=displayName,userPrincipalName"; next != ""; {
		var page userPage
		if err := get(ctx, graph, next, &page); err != nil {
			return err
		}
		for _, u := range page.Value {
			fmt.Printf("%s\t%s\n", u.UserPrincipalName, u.DisplayName)
		}
		next = page.Next
	}
	return nil
}

type userPage struct {
	Value []struct {
		DisplayName       string `json:"displayName"`
		UserPrincipalName string `json:"userPrincipalName"`
	} `json:"value"`
	Next string `json:"@odata.nextLink"`
}

func get(ctx context.Context, hc *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("microsoft graph answered %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
