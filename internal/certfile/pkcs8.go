package certfile

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addEncryptedKey adds an EncryptedPrivateKeyInfo (RFC 5958 §3), from a file
// of its own or from a PFX.
func addEncryptedKey(r *reader, der []byte, inPFX bool) error {
	if r.publicOnly {
		return nil
	}
	s := cryptobyte.String(der)
	var seq, ciphertext cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return r.problem(errParameters)
	}
	alg, ok := readAlgorithm(&seq)
	if !ok || !seq.ReadASN1(&ciphertext, cbasn1.OCTET_STRING) {
		return r.problem(errParameters)
	}
	encryption, err := newScheme(alg)
	if err != nil {
		return r.problem(err)
	}
	r.addLocked(lockedKey{encryption.rounds, func() ([]byte, error) {
		return r.decrypt(encryption, ciphertext, inPFX, isKey)
	}})
	return nil
}
