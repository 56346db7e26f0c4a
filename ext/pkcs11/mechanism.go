package pkcs11

import (
	"crypto"
	"slices"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
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

// mechanism is the signature mechanism for what a key is to sign, and its input.
func mechanism(r certsource.SignRequest) (*p11.Mechanism, []byte) {
	switch r.Algorithm {
	case certtoken.ES256, certtoken.ES384, certtoken.ES512:
		return p11.NewMechanism(p11.CKM_ECDSA, nil), r.Digest
	case certtoken.EdDSA: // CKM_EDDSA without parameters (PKCS #11 v3.0 §2.3.14)
		return p11.NewMechanism(signEdDSA, nil), r.Digest
	case certtoken.PS256, certtoken.PS384, certtoken.PS512:
		hash := r.Opts.HashFunc()
		params := p11.NewPSSParams(hashes[hash].hash, hashes[hash].mgf, uint(hash.Size()))
		return p11.NewMechanism(p11.CKM_RSA_PKCS_PSS, params), r.Digest
	}
	return p11.NewMechanism(p11.CKM_RSA_PKCS, nil), slices.Concat(hashes[r.Opts.HashFunc()].digestInfo, r.Digest)
}

// mechanismName is how people call a mechanism.
func mechanismName(m *p11.Mechanism) string {
	switch m.Mechanism {
	case p11.CKM_RSA_PKCS_PSS:
		return "CKM_RSA_PKCS_PSS"
	case p11.CKM_ECDSA:
		return "CKM_ECDSA"
	case signEdDSA:
		return "CKM_EDDSA"
	}
	return "CKM_RSA_PKCS"
}
