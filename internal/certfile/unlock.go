package certfile

import (
	"crypto/hmac"
	"crypto/subtle"
)

// unlocker opens what is protected by the password, as far as the budget of the
// call goes.
type unlocker struct {
	passwords passwords
	budget    budget
}

// decrypt tries the forms of the password on one ciphertext. Padding alone
// accepts one wrong password in 256, so valid has to recognise the plaintext.
// A first try that the budget doesn't cover is an error; further forms are
// tried as far as it goes.
func (u *unlocker) decrypt(s scheme, ciphertext []byte, inPFX bool, valid func([]byte) bool) ([]byte, error) {
	if len(ciphertext) == 0 || len(ciphertext)%s.blockSize != 0 {
		return nil, formatError("%d encrypted bytes are not a number of whole blocks", len(ciphertext))
	}
	forms := u.passwords.forms(s.unicode, inPFX)
	for i, form := range forms {
		if i > 0 && !u.budget.covers(s.rounds) {
			break
		}
		if err := u.budget.spend(s.rounds); err != nil {
			return nil, err
		}
		plain, err := s.open(form, ciphertext)
		if err != nil {
			return nil, err
		}
		if plain != nil && valid(plain) {
			prefer(forms, i)
			return plain, nil
		}
	}
	return nil, u.passwords.refused()
}

// verifyMAC checks that content is what the owner of the password wrote.
func (u *unlocker) verifyMAC(m *macData, content []byte) error {
	forms := u.passwords.forms(m.unicode, true)
	for i, form := range forms {
		if i > 0 && !u.budget.covers(m.rounds) {
			break
		}
		if err := u.budget.spend(m.rounds); err != nil {
			return err
		}
		key, err := m.derive(form, m.keyLen)
		if err != nil {
			return err
		}
		mac := hmac.New(m.hash.new, key)
		mac.Write(content)
		if subtle.ConstantTimeCompare(mac.Sum(nil), m.digest) == 1 {
			prefer(forms, i)
			return nil
		}
	}
	return u.passwords.refused()
}
