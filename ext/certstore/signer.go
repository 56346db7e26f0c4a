package certstore

import (
	"context"
	"crypto"

	"github.com/certtoken/certtoken/certsource"
)

// newSigner makes the signer of a key in the store. The digest is computed here, the
// signature by the key's provider. CNG's ECDSA signature is r and s of equal length, one
// after the other.
func newSigner(name string, key privateKey, public crypto.PublicKey) (*certsource.Signer, error) {
	return certsource.NewSigner(name, public, func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
		return key.sign(r.Digest, paddingFor(r))
	})
}
