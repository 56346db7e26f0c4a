package certfile

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// lockedKey is an encrypted private key that waits until everything in the
// files is known, so that no derivation starts before all are added up.
type lockedKey struct {
	rounds int64
	open   func() ([]byte, error) // gives a DER key
}

// addEncryptedKey adds an EncryptedPrivateKeyInfo (RFC 5958 §3), from a file
// of its own or from a PFX.
func (r *reader) addEncryptedKey(der []byte, inPFX bool) error {
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
	r.locked = append(r.locked, lockedKey{encryption.rounds, func() ([]byte, error) {
		return r.decrypt(encryption, ciphertext, inPFX, isKey)
	}})
	return nil
}

// openKeys decrypts the keys that were met.
func (r *reader) openKeys() error {
	if err := r.budget.plan(r.lockedRounds()); err != nil {
		return err
	}
	for _, key := range r.locked {
		der, err := key.open()
		if err != nil {
			err = r.problem(fmt.Errorf("private key: %w", err))
		} else {
			err = r.addKey(der)
		}
		if err != nil {
			return err
		}
	}
	r.locked = nil
	return nil
}

// lockedRounds is what opening all keys will cost at least.
func (r *reader) lockedRounds() int64 {
	var sum int64
	for _, key := range r.locked {
		sum += key.rounds
	}
	return sum
}

// isKey recognises a decrypted private key.
func isKey(plain []byte) bool {
	der, rest, err := derOf(plain)
	if err != nil || len(rest) > 0 {
		return false
	}
	return classify(der).isPlainKey()
}
