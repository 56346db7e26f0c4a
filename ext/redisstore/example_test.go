package redisstore_test

import (
	"encoding/hex"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/redisstore"
)

// Every replica of a service has the same secret, which Redis never sees. One of them asks
// the token endpoint, and all have the token.
func ExampleNew() {
	secret, err := hex.DecodeString(os.Getenv("STORE_SECRET"))
	if err != nil {
		log.Fatal("STORE_SECRET is not hexadecimal") // the error would show some of it
	}
	server := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	defer server.Close()
	store, err := redisstore.New(server, redisstore.WithPrefix("billing:"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", certtoken.CertFile("private.pem"), certtoken.WithStore(store, secret))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}
