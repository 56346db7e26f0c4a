package rotate_test

import (
	"context"
	"log"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/rotate"
)

// A service that replaces its certificate itself, thirty days before it ends.
func ExampleNew() {
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"), "my-app", certtoken.CertFile("/etc/my-app/app.pem"))
	if err != nil {
		log.Fatal(err)
	}
	rotation, err := rotate.Options{RemoveAfter: 14 * 24 * time.Hour, Log: slog.Default()}.New(
		client, rotate.Graph("11111111-2222-3333-4444-555555555555"), "/etc/my-app")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Print(rotation.Run(context.Background())) }()
}
