package certfile

import (
	"crypto/ed25519"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readEd25519 reads a CurvePrivateKey (RFC 8410 §7): an octet string in the octet
// string of a PKCS #8.
func readEd25519(content []byte) (ed25519.PrivateKey, error) {
	der, _, err := derOf(content)
	if err != nil {
		return nil, errKey
	}
	s := cryptobyte.String(der)
	var seed cryptobyte.String
	if !s.ReadASN1(&seed, cbasn1.OCTET_STRING) || len(seed) != ed25519.SeedSize {
		return nil, errKey
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
