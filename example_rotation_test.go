package certtoken_test

import (
	"context"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/rotate"
)

// docs/rotation.md: a service that rotates its own certificate.
func Example_rotation() {
	run := func(ctx context.Context) error {
		source := certtoken.CertFile("/var/lib/certtoken/billing/app.pem")
		client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id", source)
		if err != nil {
			return err
		}
		defer client.Close()
		r, err := rotate.New(client, rotate.Graph("object-id"), "/var/lib/certtoken/billing")
		if err != nil {
			return err
		}
		return r.Run(ctx) // until ctx ends
	}
	_ = run
}
