package agent_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/agent"
)

// A program hands out tokens of an application to the programs of its machine, until
// its context ends.
func Example() {
	serve := func(ctx context.Context, secret string) error {
		cert := certtoken.CertFile("private.pfx")
		client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "my-app", cert)
		if err != nil {
			return err
		}
		defer client.Close()
		a, err := agent.New(agent.Config{
			Identities: []agent.Identity{{
				Name: "billing", ClientID: "my-app", Client: client, Certificate: cert,
				Scopes:  []string{"https://graph.microsoft.com/.default", "https://*.vault.azure.net/.default"},
				Callers: []agent.Caller{agent.Secret("app", secret)},
			}},
			Audit: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		})
		if err != nil {
			return err
		}
		listener, err := agent.Listen(ctx, "127.0.0.1:40400")
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = a.Close() })
		return a.Serve(listener) // http.ErrServerClosed after Close
	}
	_ = serve
}
