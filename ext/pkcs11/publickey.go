package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// What PKCS #11 v3.0 §2.3 added for Ed25519. github.com/miekg/pkcs11 has the names of v2.40.
const (
	keyTypeEdwards = 0x40   // CKK_EC_EDWARDS
	signEdDSA      = 0x1057 // CKM_EDDSA
)

// keyTypes are the kinds of key that sign here.
var keyTypes = []uint{p11.CKK_RSA, p11.CKK_EC, keyTypeEdwards}

// publicKey is what all of Go's public keys are.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// checkKey refuses a certificate's key that can't sign here.
func checkKey(pub crypto.PublicKey) (publicKey, error) {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return key, nil
	case ed25519.PublicKey:
		return key, nil
	case *ecdsa.PublicKey:
		for _, known := range curves {
			if key.Curve == known.curve {
				return key, nil
			}
		}
		return nil, unsupportedKey("an EC key of the curve " + key.Params().Name)
	}
	return nil, unsupportedKey(fmt.Sprintf("a key of the type %T", pub))
}

// unsupportedKey is the error for a kind of key that can't sign here.
func unsupportedKey(what string) error {
	return fmt.Errorf("%w: %s; use RSA, EC on P-256, P-384 or P-521, or Ed25519", certtoken.ErrUnsupported, what)
}

// curves are the named curves by their CKA_EC_PARAMS, the DER of an OID (RFC 5480 §2.1.1.1).
var curves = []struct {
	params []byte
	curve  elliptic.Curve
}{
	{[]byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, elliptic.P256()},
	{[]byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, elliptic.P384()},
	{[]byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, elliptic.P521()},
}

// edwards25519 is the curve of Ed25519: its OID (RFC 8410 §3), and the name that PKCS #11
// v3.0 §2.3.10 lets tokens write instead.
var edwards25519 = [][]byte{
	{0x06, 0x03, 0x2b, 0x65, 0x70},
	append([]byte{0x13, 12}, "edwards25519"...),
}

// curveOf returns what decodes the points of a curve, or nil if the token doesn't name it.
func curveOf(kind uint, params []byte) (decode func(point []byte) publicKey, err error) {
	if len(params) == 0 {
		return nil, nil
	}
	if kind == keyTypeEdwards {
		for _, known := range edwards25519 {
			if bytes.Equal(params, known) {
				return edwardsKey, nil
			}
		}
		return nil, unsupportedKey(fmt.Sprintf("an Edwards curve other than edwards25519, CKA_EC_PARAMS %x", cut(params)))
	}
	for _, known := range curves {
		if bytes.Equal(params, known.params) {
			return func(point []byte) publicKey { return ecKey(known.curve, point) }, nil
		}
	}
	return nil, unsupportedKey(fmt.Sprintf("an EC key on another curve, CKA_EC_PARAMS %x", cut(params)))
}

// cut keeps an error short.
func cut(b []byte) []byte { return b[:min(len(b), 32)] }

// rsaKey is the public half, or nil if the token shows less than that.
func rsaKey(modulus, exponent []byte) publicKey {
	e := new(big.Int).SetBytes(exponent)
	if len(modulus) == 0 || !e.IsInt64() || e.Int64() < 2 || e.Int64() > 1<<31-1 {
		return nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}
}

// ecKey is the key of an uncompressed point, or nil if it is none of the curve.
func ecKey(curve elliptic.Curve, point []byte) publicKey {
	for _, form := range pointForms(point) {
		if key, err := ecdsa.ParseUncompressedPublicKey(curve, form); err == nil {
			return key
		}
	}
	return nil
}

func edwardsKey(point []byte) publicKey {
	for _, form := range pointForms(point) {
		if len(form) == ed25519.PublicKeySize {
			return ed25519.PublicKey(form)
		}
	}
	return nil
}

// pointForms are what the bytes of a CKA_EC_POINT may be. PKCS #11 asks for the DER of an
// OCTET STRING; some modules leave that out, and some write a BIT STRING for Ed25519.
func pointForms(point []byte) [][]byte {
	forms := [][]byte{point}
	var octets []byte
	if rest, err := asn1.Unmarshal(point, &octets); err == nil && len(rest) == 0 {
		forms = append(forms, octets)
	}
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(point, &bits); err == nil && len(rest) == 0 && bits.BitLength%8 == 0 {
		forms = append(forms, bits.Bytes)
	}
	return forms
}
