package certtokenotel_test

import (
	"log"

	"go.opentelemetry.io/otel/attribute"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certtokenotel"
)

// Metrics and spans go to the program's global providers. Attributes tell several clients
// of a program apart.
func ExampleHooks() {
	hooks, err := certtokenotel.Hooks(certtokenotel.WithAttributes(attribute.String("app", "billing")))
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", certtoken.CertFile("private.pem"), certtoken.WithHooks(hooks))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}
