package certtoken_test

import (
	"encoding/hex"
	"log"
	"os"
	"strings"

	"github.com/certtoken/certtoken"
)

// The secret of a shared store, from a file that every process has: openssl rand
// -hex 32 > store-secret.
func ExampleWithStore_secretFile() {
	var store certtoken.Store

	text, err := os.ReadFile("store-secret")
	if err != nil {
		log.Fatal(err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		log.Fatal("store-secret is not hexadecimal") // the error would show some of it
	}
	shared := certtoken.WithStore(store, secret)
	_ = shared
}
