package certfile

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// newLockedKey reads an EncryptedPrivateKeyInfo (RFC 5958 §3), from a file of
// its own or from a PFX.
func newLockedKey(u *unlocker, der []byte, inPFX bool) (lockedKey, error) {
	s := cryptobyte.String(der)
	var seq, ciphertext cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return lockedKey{}, errParameters
	}
	alg, ok := readAlgorithm(&seq)
	if !ok || !seq.ReadASN1(&ciphertext, cbasn1.OCTET_STRING) {
		return lockedKey{}, errParameters
	}
	encryption, err := newScheme(alg)
	if err != nil {
		return lockedKey{}, err
	}
	open := func() ([]byte, error) { return u.decrypt(encryption, ciphertext, inPFX, isKey) }
	return lockedKey{encryption.rounds, open}, nil
}
