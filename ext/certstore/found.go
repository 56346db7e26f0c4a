package certstore

import (
	"crypto/x509"
	"time"
)

// found is a certificate with its key, as the system knows them.
type found struct {
	leaf  *x509.Certificate
	chain []*x509.Certificate
	key   privateKey
}

// finder looks through a store for the first certificate, in the order that
// cfg wants, that has a private key.
type finder func(cfg *config, now time.Time) (*found, error)

// privateKey is a key that only the system can use.
type privateKey interface {
	sign(digest []byte, p padding) ([]byte, error)
}
