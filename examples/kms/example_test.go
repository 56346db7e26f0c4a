package kms_test

import (
	"context"
	"crypto/x509"
	"log"

	googlekms "cloud.google.com/go/kms/apiv1"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/examples/kms"
	"github.com/certtoken/certtoken/selfsigned"
)

// A certificate with its key in AWS KMS is the source of a client.
func ExampleAWS() {
	ctx := context.Background()
	var leaf *x509.Certificate // that was made for the key, and is registered

	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := kms.AWS(cfg, "1234abcd-12ab-34cd-56ef-1234567890ab")
	if err != nil {
		log.Fatal(err)
	}
	cert, err := certtoken.NewCertificate(signer, leaf, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		cert,
	)
	_, _ = client, err
}

// A certificate is made for a key in Google Cloud KMS.
func ExampleGoogle() {
	ctx := context.Background()

	service, err := googlekms.NewKeyManagementClient(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer service.Close()
	signer, err := kms.Google(service,
		"projects/p/locations/europe/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1")
	if err != nil {
		log.Fatal(err)
	}
	cert, err := selfsigned.For(ctx, signer, selfsigned.Options{Subject: "my-service"})
	_, _ = cert, err
}
