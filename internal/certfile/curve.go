package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ecGroup is the curve that the parameters of an EC key name.
type ecGroup struct {
	name  string         // what people call it, such as "EC P-256"
	curve elliptic.Curve // nil: a curve that isn't accepted here
}

// The curves that JWS has an algorithm for (RFC 7518 §3.4).
var ecGroups = map[string]ecGroup{
	oidP256: {"EC P-256", elliptic.P256()},
	oidP384: {"EC P-384", elliptic.P384()},
	oidP521: {"EC P-521", elliptic.P521()},
}

// acceptedGroups are those of ecGroups in an order that doesn't change.
func acceptedGroups() []ecGroup {
	return []ecGroup{ecGroups[oidP256], ecGroups[oidP384], ecGroups[oidP521]}
}

// isAcceptedCurve reports whether a curve is one of [ecGroups].
func isAcceptedCurve(curve elliptic.Curve) bool {
	return curve == elliptic.P256() || curve == elliptic.P384() || curve == elliptic.P521()
}

// readGroup reads EcpkParameters (SEC 1 appendix C.2): the identifier of a curve, or
// all its numbers. It returns false if they are absent, NULL or broken.
func readGroup(params cryptobyte.String) (ecGroup, bool) {
	if params.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) {
		oid, ok := readOID(&params)
		if group, ok := ecGroups[oid]; ok {
			return group, true
		}
		return ecGroup{name: curveName(oid)}, ok
	}
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return ecGroup{}, false
	}
	numbers, ok := readCurveNumbers(seq)
	if !ok {
		return ecGroup{name: "EC on a curve that is given by numbers instead of by its name"}, true
	}
	for _, group := range acceptedGroups() {
		if numbers.are(group.curve) {
			return group, true
		}
	}
	return ecGroup{name: "EC on a curve that is given by numbers, which aren't those of P-256, P-384 or P-521"}, true
}

// curveNumbers are the numbers of a curve over a prime field.
type curveNumbers struct {
	p, a, b, n *big.Int
	generator  []byte
}

// readCurveNumbers reads ECParameters (SEC 1 appendix C.2). The seed says only how the
// curve was found.
func readCurveNumbers(seq cryptobyte.String) (c curveNumbers, ok bool) {
	var field, coefficients, a, b, generator cryptobyte.String
	if !seq.SkipASN1(cbasn1.INTEGER) || !seq.ReadASN1(&field, cbasn1.SEQUENCE) {
		return c, false
	}
	if oid, ok := readOID(&field); !ok || oid != oidPrimeField {
		return c, false
	}
	if c.p, ok = readPositive(&field); !ok ||
		!seq.ReadASN1(&coefficients, cbasn1.SEQUENCE) ||
		!coefficients.ReadASN1(&a, cbasn1.OCTET_STRING) || !coefficients.ReadASN1(&b, cbasn1.OCTET_STRING) ||
		!seq.ReadASN1(&generator, cbasn1.OCTET_STRING) {
		return c, false
	}
	c.a, c.b, c.generator = new(big.Int).SetBytes(a), new(big.Int).SetBytes(b), generator
	if c.n, ok = readPositive(&seq); !ok {
		return c, false
	}
	if seq.Empty() {
		return c, true
	}
	// A cofactor of another number would belong to another curve.
	cofactor, ok := readPositive(&seq)
	return c, ok && cofactor.Cmp(one) == 0
}

// are reports whether these are the numbers of a curve. All of them must be: with
// another generator, anybody finds a private key for any public key.
func (c curveNumbers) are(curve elliptic.Curve) bool {
	want := curve.Params()
	if c.p.Cmp(want.P) != 0 || c.n.Cmp(want.N) != 0 || c.b.Cmp(want.B) != 0 ||
		new(big.Int).Add(c.a, big.NewInt(3)).Cmp(want.P) != 0 { // a is -3 in all of them
		return false
	}
	generator, ok := parsePoint(curve, c.generator)
	if !ok {
		return false
	}
	point, err := generator.Bytes()
	return err == nil && bytes.Equal(point, uncompressed(curve, want.Gx, want.Gy))
}

// The first octet of a point (SEC 1 §2.3.3).
const (
	pointCompressed   = 2 // or 3: the lowest bit is that of y
	pointUncompressed = 4
	pointHybrid       = 6 // or 7
)

// parsePoint reads a point of a curve. crypto/ecdsa takes only the uncompressed form;
// openssl reads and, if asked, writes all three.
func parsePoint(curve elliptic.Curve, point []byte) (*ecdsa.PublicKey, bool) {
	if len(point) == 0 {
		return nil, false
	}
	switch point[0] &^ 1 {
	case pointCompressed:
		x, y := elliptic.UnmarshalCompressed(curve, point)
		if x == nil {
			return nil, false
		}
		point = uncompressed(curve, x, y)
	case pointHybrid:
		if point[0]&1 != point[len(point)-1]&1 {
			return nil, false
		}
		point = slices.Concat([]byte{pointUncompressed}, point[1:])
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return key, err == nil
}

func uncompressed(curve elliptic.Curve, x, y *big.Int) []byte {
	size := (curve.Params().BitSize + 7) / 8
	point := make([]byte, 1+2*size)
	point[0] = pointUncompressed
	x.FillBytes(point[1 : 1+size])
	y.FillBytes(point[1+size:])
	return point
}
