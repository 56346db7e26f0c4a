package keyvault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"github.com/certtoken/certtoken"
)

// checkKey refuses the keys that no vault has. P-256K is one that a vault has and that
// crypto/x509 doesn't know.
func checkKey(pub crypto.PublicKey) error {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("%w: an EC key of the curve %s: make the certificate with P-256, P-384 or P-521",
			certtoken.ErrUnsupported, key.Params().Name)
	}
	return fmt.Errorf("%w: a key of the type %T: a vault signs with RSA and EC keys", certtoken.ErrUnsupported, pub)
}
