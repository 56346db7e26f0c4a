package certsource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

var errNoSignature = errors.New("the function returned neither a signature nor an error")

// verified returns a signature in the form that [crypto.Signer] promises, once it was found
// to be one of the key: a signature of another key would only be refused by the server, whose
// answer says nothing of the reason.
func verified(pub crypto.PublicKey, signature []byte, r SignRequest) ([]byte, error) {
	if len(signature) == 0 {
		return nil, errNoSignature
	}
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return signature, verifyRSA(key, signature, r)
	case *ecdsa.PublicKey:
		return verifiedECDSA(key, signature, r.Digest)
	case ed25519.PublicKey:
		if len(signature) != ed25519.SignatureSize {
			return nil, fmt.Errorf("the function returned %d bytes, an Ed25519 signature has %d",
				len(signature), ed25519.SignatureSize)
		}
		if ed25519.Verify(key, r.Digest, signature) {
			return signature, nil
		}
	}
	return nil, errMismatch()
}

// verifiedECDSA returns an ECDSA signature in ASN.1. A short one may be readable both as
// ASN.1 and as two numbers, so each is tried.
func verifiedECDSA(pub *ecdsa.PublicKey, signature, digest []byte) ([]byte, error) {
	der, err := jws.ASN1(pub, digest, signature)
	if err == nil && ecdsa.VerifyASN1(pub, digest, der) {
		return der, nil
	}
	short, shortErr := jws.ASN1(pub, digest, lengthened(pub, signature))
	if shortErr == nil && ecdsa.VerifyASN1(pub, digest, short) {
		return short, nil
	}
	if err == nil || shortErr == nil || errors.Is(err, jws.ErrNotOfKey) {
		return nil, errMismatch()
	}
	return nil, err
}

// lengthened puts zeros in front of the two numbers of a signature, if they are shorter than
// the curve's field. PKCS #11 lets a token leave out zeros as long as both are of the same
// length (version 3.0, §2.3.1).
func lengthened(pub *ecdsa.PublicKey, signature []byte) []byte {
	size, have := (pub.Params().BitSize+7)/8, len(signature)/2
	if len(signature)%2 != 0 || have > size {
		return signature
	}
	zeros := make([]byte, size-have)
	return slices.Concat(zeros, signature[:have], zeros, signature[have:])
}

// verifyRSA also finds out who signs in a way that wasn't asked for: a service whose keys have
// one padding each, and older TPMs, which make PSS signatures with a salt of a length of their
// own. That is nothing that the key can do otherwise.
func verifyRSA(pub *rsa.PublicKey, signature []byte, r SignRequest) error {
	hash := r.Opts.HashFunc()
	isPKCS1 := func() bool { return rsa.VerifyPKCS1v15(pub, hash, r.Digest, signature) == nil }
	isPSSWith := func(salt int) bool {
		return rsa.VerifyPSS(pub, hash, r.Digest, signature, &rsa.PSSOptions{SaltLength: salt}) == nil
	}
	asked := isPSS(r.Opts)
	switch {
	case len(signature) != pub.Size():
		return fmt.Errorf("%w: the function returned %d bytes, a signature of the public key has %d",
			certtoken.ErrKeyMismatch, len(signature), pub.Size())
	case asked && isPSSWith(rsa.PSSSaltLengthEqualsHash), !asked && isPKCS1():
		return nil
	case asked && isPSSWith(rsa.PSSSaltLengthAuto):
		return fmt.Errorf("%w: the key makes PSS signatures with a salt of another length than the hash",
			errors.ErrUnsupported)
	case asked && isPKCS1():
		return fmt.Errorf("%w: the key was asked for a PSS signature and made one by PKCS #1 v1.5", errors.ErrUnsupported)
	case !asked && isPSSWith(rsa.PSSSaltLengthAuto):
		return fmt.Errorf("%w: the key was asked for a signature by PKCS #1 v1.5 and made one by PSS", errors.ErrUnsupported)
	}
	return errMismatch()
}

func errMismatch() error {
	return fmt.Errorf("%w: the signature doesn't verify with the public key", certtoken.ErrKeyMismatch)
}
