package jwks_test

import (
	"fmt"
	"log"
	"net/http"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/selfsigned"
)

// The public key of a client, to register it at a server.
func ExampleMarshal() {
	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app", Key: selfsigned.EC})
	if err != nil {
		log.Fatal(err)
	}
	set, err := jwks.Marshal(cert)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.30s…\n", set)
	// Output: {"keys":[{"kty":"EC","use":"si…
}

// A set that follows the file, for a server that is given its URL.
func ExampleHandler() {
	source := certtoken.CertFile("client.pem")
	http.Handle("GET /.well-known/jwks.json", jwks.Handler(source))
}
