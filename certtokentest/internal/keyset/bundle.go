package keyset

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken/internal/jwk"
)

// ParseBundle reads the bundle of a SPIFFE trust domain: a JWK Set whose keys sign
// JWT-SVIDs, and whose certificates issue X.509-SVIDs, by their use (SPIFFE Trust Domain
// and Bundle §4.2). Keys of another use are left out.
func ParseBundle(data []byte) (keys []Key, cas []*x509.Certificate, err error) {
	list, skipped, err := jwk.ParseSet(data)
	if err != nil {
		return nil, nil, err
	}
	for i, one := range list {
		switch {
		case one.Private != nil:
			return nil, nil, fmt.Errorf("key %d (kid %q) is private: a bundle has public halves", i+1, one.KeyID)
		case one.Use == "jwt-svid":
			keys = append(keys, Key{Public: one.Public, ID: one.KeyID, Algorithm: one.Algorithm})
		case one.Use == "x509-svid" && len(one.Chain) > 0:
			ca, err := x509.ParseCertificate(one.Chain[0])
			if err != nil {
				return nil, nil, fmt.Errorf("key %d: its x5c: %w", i+1, err)
			}
			cas = append(cas, ca)
		}
	}
	if len(keys) == 0 && len(cas) == 0 {
		return nil, nil, errors.Join(append([]error{errors.New("no key in it is for jwt-svid or x509-svid")}, skipped...)...)
	}
	return keys, cas, nil
}
