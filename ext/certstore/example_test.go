package certstore_test

import (
	"log"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certstore"
)

// A service's certificate in the machine's store.
func ExampleNew() {
	source, err := certstore.New(
		certstore.WithLocalMachine(),
		certstore.WithSubject("my-app"),
	)
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		source,
	)
	_, _ = client, err
}

// One certificate, and no other.
func ExampleWithThumbprint() {
	source, err := certstore.New(
		certstore.WithThumbprint("6a 3c 1f 09 5b d2 7e 84 c0 11 9f ab 22 d7 43 58 e6 90 0d 7c"))
	_, _ = source, err
}

// The newest certificate that was issued from a template of Active Directory.
func ExampleWithTemplate() {
	source, err := certstore.New(certstore.WithLocalMachine(),
		certstore.WithTemplate("1.3.6.1.4.1.311.21.8.8950086.10656446.2706058.12775672.480128.147.1.16"))
	_, _ = source, err
}
