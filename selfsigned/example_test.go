package selfsigned_test

import (
	"context"
	"fmt"
	"log"

	"github.com/certtoken/certtoken/selfsigned"
)

// An EC key for a server that takes one, with the name by which SPIFFE knows it.
func ExampleNew() {
	cert, err := selfsigned.New(selfsigned.Options{
		Subject: "worker",
		Key:     selfsigned.EC,
		URIs:    []string{"spiffe://example.org/worker"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.PublicKeyAlgorithm, cert.Leaf.URIs[0])
	// Output: ECDSA spiffe://example.org/worker
}

// A key in an HSM signs its own certificate.
func ExampleFor() {
	ctx := context.Background()
	hsm, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.EC}) // a key in memory in its place
	if err != nil {
		log.Fatal(err)
	}
	cert, err := selfsigned.For(ctx, hsm, selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.Subject)
	// Output: CN=my-app
}

// A key in an HSM signs the request by which a CA issues its certificate.
func ExampleRequest() {
	ctx := context.Background()
	hsm, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.Ed25519}) // a key in memory in its place
	if err != nil {
		log.Fatal(err)
	}
	request, err := selfsigned.Request(ctx, hsm, selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(request.Subject, request.PublicKeyAlgorithm)
	// Output: CN=my-app Ed25519
}
