package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// hashes are the parameters of a mechanism, by hash.
var hashes = map[crypto.Hash]struct {
	digestInfo []byte // what precedes the digest: DER of RFC 8017 §9.2, note 1
	hash, mgf  uint
}{
	crypto.SHA256: {digestInfo(0x01, 32), p11.CKM_SHA256, p11.CKG_MGF1_SHA256},
	crypto.SHA384: {digestInfo(0x02, 48), p11.CKM_SHA384, p11.CKG_MGF1_SHA384},
	crypto.SHA512: {digestInfo(0x03, 64), p11.CKM_SHA512, p11.CKG_MGF1_SHA512},
}

// digestInfo is a DigestInfo up to its digest, for the hash 2.16.840.1.101.3.4.2.n.
func digestInfo(n, size byte) []byte {
	return []byte{
		0x30, 0x11 + size,
		0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n, 0x05, 0x00,
		0x04, size,
	}
}

// mechanism is the signature mechanism for opts, and its input for a digest.
// With PSS the salt is as long as the hash (RFC 7518 §3.5).
func mechanism(digest []byte, opts crypto.SignerOpts) (*p11.Mechanism, []byte, error) {
	if opts == nil {
		return nil, nil, errors.New("no hash was named")
	}
	hash := opts.HashFunc()
	known, ok := hashes[hash]
	if !ok {
		return nil, nil, fmt.Errorf("%w: hash %v", errors.ErrUnsupported, hash)
	}
	if len(digest) != hash.Size() {
		return nil, nil, fmt.Errorf("a digest of %d bytes is not of %v", len(digest), hash)
	}
	pss, ok := opts.(*rsa.PSSOptions)
	if !ok {
		return p11.NewMechanism(p11.CKM_RSA_PKCS, nil), bytes.Join([][]byte{known.digestInfo, digest}, nil), nil
	}
	if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != hash.Size() {
		return nil, nil, fmt.Errorf("%w: a PSS salt of another length than the hash", errors.ErrUnsupported)
	}
	params := p11.NewPSSParams(known.hash, known.mgf, uint(hash.Size()))
	return p11.NewMechanism(p11.CKM_RSA_PKCS_PSS, params), digest, nil
}

// verify checks a signature with the certificate's key.
func verify(pub *rsa.PublicKey, digest, signature []byte, opts crypto.SignerOpts) error {
	if _, ok := opts.(*rsa.PSSOptions); ok {
		return rsa.VerifyPSS(
			pub,
			opts.HashFunc(),
			digest,
			signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
		)
	}
	return rsa.VerifyPKCS1v15(pub, opts.HashFunc(), digest, signature)
}
