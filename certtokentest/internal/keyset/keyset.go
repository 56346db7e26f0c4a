// Package keyset holds the public keys that a client is registered with: by a JWK Set
// (RFC 7517), or by the URL of one, which is fetched. It never knows what they verify.
//
//	keyset.go  sets, and what of a JWK counts
//	remote.go  the set behind a jwks_uri
//	bundle.go  the bundle of a SPIFFE trust domain
package keyset

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/certtoken/certtoken/internal/jwk"
)

// Key is a public key that a client is registered with.
type Key struct {
	Public     crypto.PublicKey
	Cert       *x509.Certificate // that the key stands in; nil: a key without one
	CertSHA256 string            // of a certificate that was named but not given; "": none
	ID         string            // kid; "": none, as with a certificate
	Algorithm  string            // the only one that it is for; "": each that it can do
}

// Source is where a client's keys come from. Its methods may be called from many
// goroutines.
type Source interface {
	// Load returns the keys. again asks for them anew: the ones at hand weren't enough.
	Load(ctx context.Context, again bool) ([]Key, error)

	// URL is where they are fetched from, "" for keys that were given.
	URL() string
}

// Fixed are keys that were given.
type Fixed []Key

// Load returns the keys.
func (f Fixed) Load(context.Context, bool) ([]Key, error) { return f, nil }

// URL is "".
func (f Fixed) URL() string { return "" }

// Parse reads a JWK Set, or one JWK, that a client is registered with. Keys that don't
// sign are left out. A private key is an error: to register it would give it away.
func Parse(data []byte) (Fixed, error) {
	list, skipped, err := jwk.ParseSet(data)
	if err != nil {
		one, oneErr := jwk.Parse(data)
		if oneErr != nil {
			return nil, err
		}
		list = []*jwk.Key{one}
	}
	keys, err := forSignatures(list)
	if err == nil && len(keys) == 0 {
		err = errors.Join(append([]error{errors.New("no key in it verifies signatures")}, skipped...)...)
	}
	return keys, err
}

// parseRemote is Parse for a set that was fetched, which may be empty for a while.
func parseRemote(data []byte) ([]Key, error) {
	list, _, err := jwk.ParseSet(data)
	if err != nil {
		return nil, err
	}
	return forSignatures(list)
}

func forSignatures(list []*jwk.Key) ([]Key, error) {
	var keys []Key
	for i, one := range list {
		if one.Private != nil {
			return nil, fmt.Errorf("key %d (kid %q) is private: register its public half", i+1, one.KeyID)
		}
		verifies := one.Use == "" || one.Use == "sig"
		if len(one.Operations) > 0 {
			verifies = verifies && slices.Contains(one.Operations, "verify")
		}
		if !verifies {
			continue
		}
		id, err := keyID(one)
		if err != nil {
			return nil, err
		}
		key := Key{Public: one.Public, ID: id, Algorithm: one.Algorithm, CertSHA256: string(one.CertSHA256)}
		if len(one.Chain) > 0 {
			cert, err := x509.ParseCertificate(one.Chain[0])
			if err != nil {
				return nil, fmt.Errorf("key %d (kid %q): its x5c: %w", i+1, one.KeyID, err)
			}
			key.Cert = cert
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// keyID is what the key goes by: its kid, else the thumbprint of RFC 7638, which most
// servers give to a key that is registered without one.
func keyID(key *jwk.Key) (string, error) {
	if key.KeyID != "" {
		return key.KeyID, nil
	}
	return jwk.Thumbprint(key.Public)
}
