// Package vaultsign signs as a vault does, for the fakes of this module.
package vaultsign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
)

// algorithms are those of a vault's keys. A curve has one of its own.
var algorithms = map[string]struct {
	opts  crypto.SignerOpts
	curve int // its bits; 0: RSA
}{
	"RS256": {crypto.SHA256, 0},
	"RS384": {crypto.SHA384, 0},
	"RS512": {crypto.SHA512, 0},
	"PS256": {&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}, 0},
	"PS384": {&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}, 0},
	"PS512": {&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}, 0},
	"ES256": {crypto.SHA256, 256},
	"ES384": {crypto.SHA384, 384},
	"ES512": {crypto.SHA512, 521},
}

// Sign signs by a vault's rules: an EC key by the algorithm of its curve only, a digest of
// that algorithm's length only, and an ECDSA signature as r and s, one after the other.
func Sign(signer crypto.Signer, algorithm string, digest []byte) ([]byte, error) {
	alg, ok := algorithms[algorithm]
	if !ok {
		return nil, errors.New("no such algorithm")
	}
	if len(digest) != alg.opts.HashFunc().Size() {
		return nil, errors.New("the digest has another length than the algorithm's")
	}
	key, isEC := signer.(*ecdsa.PrivateKey)
	switch {
	case isEC && key.Params().BitSize != alg.curve:
		return nil, errors.New("the algorithm is not of the key's curve")
	case !isEC && alg.curve != 0:
		return nil, errors.New("the algorithm is for EC keys")
	case !isEC:
		return signer.Sign(rand.Reader, digest, alg.opts)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		return nil, err
	}
	size := (alg.curve + 7) / 8
	return slices.Concat(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))), nil
}
