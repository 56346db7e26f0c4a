package certtoken

import (
	"crypto"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"sync"

	"github.com/certtoken/certtoken/internal/jwk"
)

// thumbprints are the digests by which a certificate is named, or a key alone. They are
// computed once, when a [Certificate] is made. A user can assign another Leaf or Signer to
// it later, so leaf and key say what the digests belong to.
type thumbprints struct {
	leaf   *x509.Certificate // nil: of a key alone
	key    crypto.PublicKey  // of a key alone
	sha256 [sha256.Size]byte
	sha1   func() [sha1.Size]byte // computed when it is first asked for; only of a certificate
}

func thumbprintsOf(leaf *x509.Certificate) *thumbprints {
	return &thumbprints{
		leaf:   leaf,
		sha256: sha256.Sum256(leaf.Raw),
		sha1:   sync.OnceValue(func() [sha1.Size]byte { return sha1Sum(leaf.Raw) }),
	}
}

// thumbprintsOfKey has the JWK thumbprint of a key in the place of a certificate's SHA-256.
func thumbprintsOfKey(pub crypto.PublicKey) *thumbprints {
	t := &thumbprints{key: pub}
	if public, err := jwk.New(pub); err == nil {
		t.sha256 = public.Sum()
	}
	return t
}

// sha1Sum is the SHA-1 of a certificate. It only names the certificate and protects
// nothing, so it is allowed in FIPS mode.
func sha1Sum(der []byte) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(der) })
	return sum
}
