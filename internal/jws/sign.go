package jws

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// contextSigner is a signer whose work can be cancelled.
type contextSigner interface {
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Sign signs an input by an algorithm that fits the signer's key, and returns the
// signature in the form of RFC 7518 §3 and RFC 8037 §3.1. An ECDSA signer may return ASN.1,
// as Go's do, or r and s one after the other, as PKCS #11 and Azure Key Vault do. For
// Ed25519 the signer is given the input itself, and [crypto.Hash](0). The context reaches
// a signer with a method SignContext. An error of the signer is wrapped or returned.
func Sign(ctx context.Context, alg string, signer crypto.Signer, input []byte) ([]byte, error) {
	pub := signer.Public()
	if err := Fits(alg, pub); err != nil {
		return nil, err
	}
	opts := methods[alg].opts
	digest := digestOf(opts.HashFunc(), input)
	sig, err := sign(ctx, signer, digest, opts)
	if err != nil {
		return nil, err
	}
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if len(sig) != key.Size() {
			return nil, fmt.Errorf("the signer returned %d bytes, a signature of this key has %d: "+
				"it must be the raw RSA signature", len(sig), key.Size())
		}
	case *ecdsa.PublicKey:
		pair, err := readECDSA(key, digest, sig)
		if err != nil {
			return nil, err
		}
		return pair.raw(key), nil
	case ed25519.PublicKey:
		if len(sig) != ed25519.SignatureSize {
			return nil, fmt.Errorf("the signer returned %d bytes, an Ed25519 signature has %d",
				len(sig), ed25519.SignatureSize)
		}
	}
	return sig, nil
}

// digestOf is what a signer is given: the digest, or the input where the algorithm hashes
// by itself.
func digestOf(hash crypto.Hash, input []byte) []byte {
	if hash == 0 {
		return input
	}
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

func sign(ctx context.Context, signer crypto.Signer, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if remote, ok := signer.(contextSigner); ok {
		return remote.SignContext(ctx, digest, opts)
	}
	return signer.Sign(rand.Reader, digest, opts)
}
