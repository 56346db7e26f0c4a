package jws

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ecdsaPair is an ECDSA signature: two numbers, each from 1 to the curve's order less 1.
type ecdsaPair struct{ r, s *big.Int }

// ErrNotOfKey is a signature of 64 bytes or so that can be read in both forms, and isn't one of
// the key in either.
var ErrNotOfKey = errors.New("the signer's signature is not one of its key")

// ASN1 returns an ECDSA signature over a digest in the form that TLS and X.509 ask for
// (RFC 5480 appendix A), whichever of the two forms it has.
func ASN1(pub *ecdsa.PublicKey, digest, sig []byte) ([]byte, error) {
	if err := CheckKey(pub); err != nil {
		return nil, err
	}
	pair, err := readECDSA(pub, digest, sig)
	if err != nil {
		return nil, err
	}
	return pair.asn1(), nil
}

// readECDSA reads a signature in either form. A raw one can look like ASN.1, and one in
// ASN.1 can be as short as a raw one. Both are so unlikely that they would never be found
// in a test, so then the public key decides.
func readECDSA(pub *ecdsa.PublicKey, digest, sig []byte) (ecdsaPair, error) {
	order := pub.Params().N
	fromASN1, isASN1 := readASN1(sig, order)
	fromRaw, isRaw := readRaw(sig, fieldSize(pub), order)
	switch {
	case isASN1 && isRaw:
		for _, pair := range []ecdsaPair{fromASN1, fromRaw} {
			if ecdsa.VerifyASN1(pub, digest, pair.asn1()) {
				return pair, nil
			}
		}
		return ecdsaPair{}, ErrNotOfKey
	case isASN1:
		return fromASN1, nil
	case isRaw:
		return fromRaw, nil
	}
	return ecdsaPair{}, fmt.Errorf("the signer returned %d bytes that are no ECDSA signature on %s: "+
		"it must be ASN.1 DER, or r and s one after the other in %d bytes",
		len(sig), pub.Params().Name, 2*fieldSize(pub))
}

// readASN1 reads the DER of a signature. There is one encoding for each signature, so
// another one isn't taken.
func readASN1(sig []byte, order *big.Int) (ecdsaPair, bool) {
	pair := ecdsaPair{new(big.Int), new(big.Int)}
	input := cryptobyte.String(sig)
	var seq cryptobyte.String
	ok := input.ReadASN1(&seq, asn1.SEQUENCE) && input.Empty() &&
		seq.ReadASN1Integer(pair.r) && seq.ReadASN1Integer(pair.s) && seq.Empty()
	return pair, ok && pair.isWithin(order)
}

// readRaw reads r and s of equal length, one after the other.
func readRaw(sig []byte, size int, order *big.Int) (ecdsaPair, bool) {
	if len(sig) != 2*size {
		return ecdsaPair{}, false
	}
	pair := ecdsaPair{new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])}
	return pair, pair.isWithin(order)
}

func (p ecdsaPair) isWithin(order *big.Int) bool {
	return p.r.Sign() > 0 && p.s.Sign() > 0 && p.r.Cmp(order) < 0 && p.s.Cmp(order) < 0
}

// raw is the form of RFC 7518 §3.4: r and s, each as long as the curve's field.
func (p ecdsaPair) raw(pub *ecdsa.PublicKey) []byte {
	size := fieldSize(pub)
	sig := make([]byte, 2*size)
	p.r.FillBytes(sig[:size])
	p.s.FillBytes(sig[size:])
	return sig
}

func (p ecdsaPair) asn1() []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(p.r)
		b.AddASN1BigInt(p.s)
	})
	return b.BytesOrPanic() // two integers can't be too long for it
}

// fieldSize is how many bytes a coordinate of the curve has.
func fieldSize(pub *ecdsa.PublicKey) int { return (pub.Params().BitSize + 7) / 8 }
