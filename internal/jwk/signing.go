package jwk

import (
	"crypto"
	"fmt"

	"github.com/certtoken/certtoken/internal/jws"
)

// ForSigning is the JWK by which a server knows a client's key: with the use "sig", and
// with the key's default algorithm and its thumbprint where alg or kid is "".
func ForSigning(pub crypto.PublicKey, kid, alg string) (Public, error) {
	p, err := New(pub)
	if err != nil {
		return Public{}, err
	}
	if alg == "" {
		alg, err = jws.Default(pub)
	} else {
		err = jws.Fits(alg, pub)
	}
	if err != nil {
		return Public{}, err
	}
	if kid == "" {
		kid = p.Thumbprint()
	}
	p.Use, p.Algorithm, p.KeyID = "sig", alg, kid
	return p, nil
}

// Add appends a key. One that is there already is left out, together with its
// certificate. Another key with the same kid is an error: a server looks keys up by it.
func (s *Set) Add(key Public) error {
	for _, other := range s.Keys {
		if other.KeyID != key.KeyID {
			continue
		}
		if other.Thumbprint() != key.Thumbprint() {
			return fmt.Errorf("another key has its kid %q", cut(key.KeyID))
		}
		if other.CertSHA256 == key.CertSHA256 {
			return nil
		}
	}
	s.Keys = append(s.Keys, key)
	return nil
}
