package certtoken

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"sync"
)

// thumbprints are the digests by which a certificate is named. They are computed once,
// when a [Certificate] is made. A user can assign another Leaf to it later, so leaf says
// which certificate the digests belong to.
type thumbprints struct {
	leaf   *x509.Certificate
	sha256 [sha256.Size]byte
	sha1   func() [sha1.Size]byte // computed when it is first asked for
}

func thumbprintsOf(leaf *x509.Certificate) *thumbprints {
	return &thumbprints{
		leaf:   leaf,
		sha256: sha256.Sum256(leaf.Raw),
		sha1:   sync.OnceValue(func() [sha1.Size]byte { return sha1Sum(leaf.Raw) }),
	}
}

// sha1Sum is the SHA-1 of a certificate. It only names the certificate and protects
// nothing, so it is allowed in FIPS mode.
func sha1Sum(der []byte) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(der) })
	return sum
}
