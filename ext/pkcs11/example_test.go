package pkcs11_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log"
	"os"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/pkcs11"
	"github.com/certtoken/certtoken/selfsigned"
)

// A key in an HSM, whose PIN is in a file that only the program can read.
func ExampleNew() {
	ctx := context.Background()

	source, err := pkcs11.New("/usr/lib/softhsm/libsofthsm2.so",
		pkcs11.WithTokenLabel("certtoken"),
		pkcs11.WithKeyLabel("my-app"),
		pkcs11.WithPIN(func(context.Context) (string, error) {
			pin, err := os.ReadFile("pin")
			return strings.TrimSpace(string(pin)), err
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		source,
	)
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
	_, _ = token, err
}

// A token that holds the key alone, and does RSA without PSS.
func ExampleWithCertificate() {
	var leaf, issuingCA *x509.Certificate
	var pin func(context.Context) (string, error)

	source, err := pkcs11.New("/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
		pkcs11.WithTokenSerial("4090015a2f3c"),
		pkcs11.WithKeyID("02"),
		pkcs11.WithCertificate(leaf),
		pkcs11.WithIssuers(issuingCA),
		pkcs11.WithPIN(pin),
		pkcs11.WithSessions(1),
	)
	if err != nil {
		log.Fatal(err)
	}
	authority := certtoken.Entra("contoso.onmicrosoft.com", certtoken.WithPSSFallback())
	_, _ = source, authority
}

// A certificate is asked for, for a key that the token has just made.
func ExampleWithoutCertificate() {
	ctx := context.Background()
	var pin func(context.Context) (string, error)

	source, err := pkcs11.New("/usr/lib/softhsm/libsofthsm2.so",
		pkcs11.WithKeyLabel("my-app"), pkcs11.WithoutCertificate(), pkcs11.WithPIN(pin))
	if err != nil {
		log.Fatal(err)
	}
	key, err := source.Certificate(ctx)
	if err != nil {
		log.Fatal(err)
	}
	request, err := selfsigned.Request(ctx, key.Signer, selfsigned.Options{Subject: "my-app"})
	_, _ = request, err
}

// A wrong PIN is tried once.
func ExampleSource_Login() {
	ctx := context.Background()
	var source *pkcs11.Source

	err := source.Login(ctx)
	if errors.Is(err, pkcs11.ErrPINRefused) && !errors.Is(err, pkcs11.ErrPINLocked) {
		err = source.Login(ctx) // asks for the PIN again; nothing else does
	}
	_ = err
}
