package certsource

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

// SignRequest is what a key is asked to sign. It is checked: the digest has the length of
// its hash, and the algorithm fits the key.
type SignRequest struct {
	// Algorithm is RS256, RS384, RS512 (RSASSA-PKCS1-v1_5), PS256, PS384, PS512 (RSASSA-PSS
	// with a salt as long as the hash, and MGF1 with that hash), ES256 (ECDSA on P-256), ES384
	// (P-384), ES512 (P-521), or EdDSA (Ed25519); see RFC 7518 §3 and RFC 8037 §3.1.
	Algorithm certtoken.Algorithm

	// Digest is what is to be signed: the SHA-256, SHA-384 or SHA-512 that the algorithm's
	// name ends in, and for Ed25519 the message itself. It must not be hashed again.
	Digest []byte

	// Opts are the options by which a [crypto.Signer] signs so.
	Opts crypto.SignerOpts
}

// clone returns a request that shares no memory with r: what the function writes into it
// reaches neither the caller nor the check of the signature, and a caller that left may use
// its digest again.
func (r SignRequest) clone() SignRequest {
	r.Digest = bytes.Clone(r.Digest)
	if pss, ok := r.Opts.(*rsa.PSSOptions); ok {
		own := *pss
		r.Opts = &own
	}
	return r
}

// requestFor checks what a signer is asked for. The error for what isn't in RFC 7518
// wraps [errors.ErrUnsupported].
func requestFor(pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) (SignRequest, error) {
	if opts == nil {
		return SignRequest{}, errors.New("no hash was named")
	}
	if _, ok := pub.(ed25519.PublicKey); ok {
		return edwardsRequest(digest, opts)
	}
	hash := opts.HashFunc()
	bits, ok := hashBits[hash]
	if !ok {
		return SignRequest{}, fmt.Errorf("%w: hash %v", errors.ErrUnsupported, hash)
	}
	if len(digest) != hash.Size() {
		return SignRequest{}, fmt.Errorf("a digest of %d bytes is not of %v", len(digest), hash)
	}
	if key, ok := pub.(*ecdsa.PublicKey); ok {
		return curveRequest(key, digest, opts)
	}
	if !isPSS(opts) {
		return SignRequest{certtoken.Algorithm("RS" + bits), digest, hash}, nil
	}
	salt := opts.(*rsa.PSSOptions).SaltLength
	if salt != rsa.PSSSaltLengthEqualsHash && salt != hash.Size() {
		return SignRequest{}, fmt.Errorf("%w: a PSS salt of another length than the hash", errors.ErrUnsupported)
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	return SignRequest{certtoken.Algorithm("PS" + bits), digest, pss}, nil
}

// hashBits are how the names of algorithms end, by hash.
var hashBits = map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}

func isPSS(opts crypto.SignerOpts) bool {
	_, ok := opts.(*rsa.PSSOptions)
	return ok
}

// edwardsRequest is for Ed25519 without a hash before it and without a context.
func edwardsRequest(message []byte, opts crypto.SignerOpts) (SignRequest, error) {
	own, _ := opts.(*ed25519.Options)
	if opts.HashFunc() != 0 || own != nil && own.Context != "" {
		return SignRequest{}, fmt.Errorf("%w: Ed25519 over a digest or with a context", errors.ErrUnsupported)
	}
	return SignRequest{certtoken.EdDSA, message, crypto.Hash(0)}, nil
}

// curveRequest is for ECDSA, whose algorithm follows from the curve. An assertion has the
// hash of that algorithm, but TLS may combine any curve and hash.
func curveRequest(key *ecdsa.PublicKey, digest []byte, opts crypto.SignerOpts) (SignRequest, error) {
	if isPSS(opts) {
		return SignRequest{}, fmt.Errorf("%w: an EC key makes no PSS signatures", errors.ErrUnsupported)
	}
	alg, err := jws.Default(key)
	if err != nil {
		return SignRequest{}, err
	}
	hash := curveHashes[alg]
	return SignRequest{certtoken.Algorithm(alg), resize(digest, hash.Size()), hash}, nil
}

var curveHashes = map[string]crypto.Hash{
	jws.ES256: crypto.SHA256, jws.ES384: crypto.SHA384, jws.ES512: crypto.SHA512,
}

// resize makes a digest as long as a key's algorithm asks for, and leaves the signature the
// same: ECDSA takes the digest for a number, of which it reads the leading bits
// (FIPS 186-5 §6.4.1). So no place where keys are kept has to know that.
func resize(digest []byte, size int) []byte {
	if len(digest) >= size {
		return digest[:size]
	}
	return append(make([]byte, size-len(digest)), digest...)
}
