package certtoken

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"sync"
)

// thumbprints are the digests by which a certificate is named. They are computed
// once, where a [Certificate] is made. Its fields are the user's, who may put another
// leaf in the place of the first one, so the digests say whose they are.
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

// sha1Sum is of a certificate, whose name it is. It protects nothing, so FIPS
// mode has no say in it.
func sha1Sum(der []byte) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(der) })
	return sum
}
