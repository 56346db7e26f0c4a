package rotate

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/panics"
	"github.com/certtoken/certtoken/internal/redact"
)

// KeyStore makes and finds keys that never leave it: an HSM, a TPM, a vault.
type KeyStore interface {
	// NewKey makes a key under a name, which this package chooses: "certtoken-" and 32
	// hexadecimal digits. If there is a key of this name already, it returns that one: the
	// process was killed after it was made.
	NewKey(ctx context.Context, name string) (crypto.Signer, error)

	// Signer returns the key of a certificate.
	Signer(ctx context.Context, leaf *x509.Certificate) (crypto.Signer, error)
}

// heldPair joins the certificate in a file with its key in a store.
func heldPair(ctx context.Context, data []byte, store KeyStore) (*certtoken.Certificate, error) {
	found, err := certfile.ParseWithoutKey(data, "")
	if err != nil {
		return nil, err
	}
	signer, err := guarded("the key store", func() (crypto.Signer, error) { return store.Signer(ctx, found.Leaf) })
	if err != nil {
		return nil, fmt.Errorf("the key of %q: %w", found.Leaf.Subject, err)
	}
	return certtoken.NewCertificate(signer, found.Leaf, found.Chain)
}

// guarded calls a part of the user's. Its panic is an error without its text, and so is a secret
// in what it says.
func guarded[T any](part string, f func() (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error(part, p)
		}
	}()
	value, err = f()
	if err != nil {
		err = fmt.Errorf("%s: %w", part, redact.Error(err))
	}
	return value, err
}
