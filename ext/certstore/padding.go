package certstore

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Flags of NCryptSignHash (bcrypt.h).
const (
	padPKCS1 = 0x2 // BCRYPT_PAD_PKCS1
	padPSS   = 0x8 // BCRYPT_PAD_PSS
)

// algorithmNames are CNG's names of the hashes. With BCRYPT_PKCS1_PADDING_INFO it
// puts the DigestInfo in front of the digest by itself.
var algorithmNames = map[crypto.Hash]string{
	crypto.SHA256: "SHA256",
	crypto.SHA384: "SHA384",
	crypto.SHA512: "SHA512",
}

// pkcs1Info is BCRYPT_PKCS1_PADDING_INFO.
type pkcs1Info struct {
	algorithm *uint16
}

// pssInfo is BCRYPT_PSS_PADDING_INFO.
type pssInfo struct {
	algorithm *uint16
	salt      uint32
}

// padding is how a digest is padded for a signature.
type padding struct {
	algorithm []uint16 // CNG's name of the hash, UTF-16 with a final zero
	salt      uint32   // bytes; PSS only
	flag      uint32
}

// paddingFor checks the digest and returns the padding for opts. With PSS the
// salt is as long as the hash (RFC 7518 §3.5).
func paddingFor(digest []byte, opts crypto.SignerOpts) (padding, error) {
	if opts == nil {
		return padding{}, errors.New("no hash was named")
	}
	hash := opts.HashFunc()
	name, ok := algorithmNames[hash]
	if !ok {
		return padding{}, fmt.Errorf("%w: hash %v", errors.ErrUnsupported, hash)
	}
	if len(digest) != hash.Size() {
		return padding{}, fmt.Errorf("a digest of %d bytes is not of %v", len(digest), hash)
	}
	p := padding{algorithm: append(utf16.Encode([]rune(name)), 0), flag: padPKCS1}
	pss, ok := opts.(*rsa.PSSOptions)
	switch {
	case !ok:
		return p, nil
	case pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != hash.Size():
		return padding{}, fmt.Errorf("%w: a PSS salt of another length than the hash", errors.ErrUnsupported)
	}
	p.flag, p.salt = padPSS, uint32(hash.Size())
	return p, nil
}

// pkcs1 and pss are what the flag announces.
func (p padding) pkcs1() *pkcs1Info { return &pkcs1Info{&p.algorithm[0]} }
func (p padding) pss() *pssInfo     { return &pssInfo{&p.algorithm[0], p.salt} }
