package tpm_test

import (
	"context"
	"log"
	"os"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/selfsigned"
)

// Key and certificate in one file, as "certtoken cert new --tpm" writes it.
func ExampleFromFile() {
	ctx := context.Background()

	source, err := tpm.FromFile("/etc/my-service/private.tpm")
	if err != nil {
		log.Fatal(err)
	}
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

// A key that the TPM keeps, with a password in a file that only the program reads.
func ExampleFromHandle() {
	source, err := tpm.FromHandle(0x81010001,
		tpm.WithCertificateFile("/etc/my-service/public.cer"),
		tpm.WithPassword(func(context.Context) (string, error) {
			password, err := os.ReadFile("/etc/my-service/password")
			return strings.TrimSpace(string(password)), err
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	authority := certtoken.Entra("contoso.onmicrosoft.com", certtoken.WithPSSFallback())
	_, _ = source, authority
}

// The TPM makes a key, and a certificate is asked for.
func ExampleCreate() {
	ctx := context.Background()

	file, err := tpm.Create(ctx, tpm.NewKey{Key: selfsigned.EC})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("private.tpm", file, 0o600); err != nil {
		log.Fatal(err)
	}
	source, err := tpm.FromFile("private.tpm", tpm.WithoutCertificate())
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

// The key signs while the firmware and the boot settings are those of today.
func ExampleWithPCRs() {
	ctx := context.Background()

	file, err := tpm.Create(ctx, tpm.NewKey{}, tpm.WithPCRs("sha256:0,7"))
	_, _ = file, err
}
