package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ecKey is what an ECPrivateKey holds.
type ecKey struct {
	group  ecGroup
	scalar []byte
	public []byte // the point, if it is there
}

// errNoCurve: an EC key that doesn't say which curve it is of.
var errNoCurve = errors.New("an EC key without the name of its curve")

// readSEC1 reads an ECPrivateKey (RFC 5915 §3). The curve may also be named outside of
// it: by the PKCS #8 around it, which crypto/x509 and openssl believe first, or by an EC
// PARAMETERS block of the file, of which there may be several.
func readSEC1(der []byte, outer *ecGroup, blocks []ecGroup) (ecKey, error) {
	s := cryptobyte.String(der)
	var seq, scalar, params cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) ||
		!seq.ReadASN1(&scalar, cbasn1.OCTET_STRING) {
		return ecKey{}, errKey
	}
	key := ecKey{scalar: scalar}
	named := false
	if seq.PeekASN1Tag(context0Constructed) {
		if !seq.ReadASN1(&params, context0Constructed) {
			return ecKey{}, errKey
		}
		key.group, named = readGroup(params)
	}
	key.public = readStatedKey(&seq)
	switch {
	case outer != nil:
		key.group = *outer
	case !named:
		group, ok := groupOf(blocks, len(scalar))
		if !ok {
			return ecKey{}, errNoCurve
		}
		key.group = group
	}
	return key, nil
}

// groupOf finds the curve of a key that names none among the curves of the file's
// parameters blocks: the only one, or the one whose private keys are so long.
func groupOf(blocks []ecGroup, size int) (ecGroup, bool) {
	if len(blocks) == 1 {
		return blocks[0], true
	}
	for _, group := range blocks {
		if group.curve != nil && scalarSize(group.curve) == size {
			return group, true
		}
	}
	return ecGroup{}, false
}

// readStatedKey reads the public key that may stand behind a private one, as [1] with a
// BIT STRING in it (RFC 5915) or tagged implicitly (RFC 5958). It is nil if there is
// none.
func readStatedKey(s *cryptobyte.String) []byte {
	var wrapped cryptobyte.String
	var public []byte
	switch {
	case s.PeekASN1Tag(context1.Constructed()):
		if s.ReadASN1(&wrapped, context1.Constructed()) {
			wrapped.ReadASN1BitStringAsBytes(&public)
		}
	case s.PeekASN1Tag(context1):
		if s.ReadASN1(&wrapped, context1) && len(wrapped) > 1 && wrapped[0] == 0 {
			public = wrapped[1:]
		}
	}
	return public
}

// open calculates the public key from the private one, whatever else the file says it
// is. RFC 5915 asks for a scalar of the length of the curve's order; some programs
// leave out leading zeros or write one more.
func (k ecKey) open() (*ecdsa.PrivateKey, error) {
	size := scalarSize(k.group.curve)
	digits := bytes.TrimLeft(k.scalar, "\x00")
	if len(digits) > size {
		return nil, errScalar
	}
	scalar := make([]byte, size)
	copy(scalar[size-len(digits):], digits)
	key, err := ecdsa.ParseRawPrivateKey(k.group.curve, scalar)
	if err != nil {
		return nil, errScalar
	}
	return key, nil
}

// statement is what the file says of the public key that was calculated.
type statement int

const (
	silent       statement = iota // no public key stands in it
	confirmed                     // the same one does
	contradicted                  // another one does
)

// states compares the public key that the file says is the key's.
func (k ecKey) states(key *ecdsa.PrivateKey) statement {
	if len(k.public) == 0 {
		return silent
	}
	stated, ok := parsePoint(k.group.curve, k.public)
	if ok && key.PublicKey.Equal(stated) {
		return confirmed
	}
	return contradicted
}

// scalarSize is the length of a private key in bytes.
func scalarSize(curve elliptic.Curve) int { return (curve.Params().N.BitLen() + 7) / 8 }

var errScalar = formatError("the private key is damaged: its number is not between 1 and the order of its curve")
