package certstore

import (
	"crypto"
	"unicode/utf16"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// Flags of NCryptSignHash (bcrypt.h).
const (
	padNothing = 0   // ECDSA
	padPKCS1   = 0x2 // BCRYPT_PAD_PKCS1
	padPSS     = 0x8 // BCRYPT_PAD_PSS
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
	algorithm []uint16 // CNG's name of the hash, UTF-16 with a final zero; nil with padNothing
	salt      uint32   // bytes; PSS only
	flag      uint32
}

// paddingFor is how CNG is asked for a signature. With PSS the salt is as long as the hash
// (RFC 7518 §3.5).
func paddingFor(r certsource.SignRequest) padding {
	hash := r.Opts.HashFunc()
	algorithm := append(utf16.Encode([]rune(algorithmNames[hash])), 0)
	switch r.Algorithm {
	case certtoken.RS256, certtoken.RS384, certtoken.RS512:
		return padding{algorithm: algorithm, flag: padPKCS1}
	case certtoken.PS256, certtoken.PS384, certtoken.PS512:
		return padding{algorithm: algorithm, flag: padPSS, salt: uint32(hash.Size())}
	}
	return padding{flag: padNothing}
}

// pkcs1 and pss are what the flag announces; padNothing announces no structure.
func (p padding) pkcs1() *pkcs1Info { return &pkcs1Info{&p.algorithm[0]} }
func (p padding) pss() *pssInfo     { return &pssInfo{&p.algorithm[0], p.salt} }
