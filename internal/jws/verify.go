package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
)

// ErrSignature is a signature that isn't one of the key over the input.
var ErrSignature = errors.New("the signature is not valid")

// Verify checks a signature in the form that [Sign] returns. The error is [ErrSignature],
// or says why the algorithm doesn't fit the key. Nothing but the standard's form is taken:
// no ASN.1, and no salt of another length than the hash's.
func Verify(alg string, pub crypto.PublicKey, input, sig []byte) error {
	if err := Fits(alg, pub); err != nil {
		return err
	}
	if err := CheckKey(pub); err != nil {
		return err
	}
	opts := methods[alg].opts
	digest := digestOf(opts.HashFunc(), input)
	ok := false
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if pss, is := opts.(*rsa.PSSOptions); is {
			ok = rsa.VerifyPSS(key, opts.HashFunc(), digest, sig, pss) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, sig) == nil
		}
	case *ecdsa.PublicKey:
		pair, isRaw := readRaw(sig, fieldSize(key), key.Params().N)
		ok = isRaw && ecdsa.VerifyASN1(key, digest, pair.asn1())
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, digest, sig)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}
