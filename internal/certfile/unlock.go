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
func (u *unlocker) decrypt(s scheme, ciphertext []byte, inPFX bool, valid func([]byte) bool) ([]byte, error) {
	if len(ciphertext) == 0 || len(ciphertext)%s.blockSize != 0 {
		return nil, formatError("%d encrypted bytes are not a number of whole blocks", len(ciphertext))
	}
	var plain []byte
	open := func(form []byte) (bool, error) {
		opened, err := s.open(form, ciphertext)
		plain = opened
		return opened != nil && valid(opened), err
	}
	if err := u.tryForms(s.rounds, s.unicode, inPFX, open); err != nil {
		return nil, err
	}
	return plain, nil
}

// verifyMAC checks that content is what the owner of the password wrote.
func (u *unlocker) verifyMAC(m *macData, content []byte) error {
	return u.tryForms(m.rounds, m.unicode, true, func(form []byte) (bool, error) {
		key, err := m.derive(form, m.keyLen)
		if err != nil {
			return false, err
		}
		mac := hmac.New(m.hash.new, key)
		mac.Write(content)
		return subtle.ConstantTimeCompare(mac.Sum(nil), m.digest) == 1, nil
	})
}

// tryForms gives the forms of the password to opens until one of them is right. A
// first try that the budget doesn't cover is an error; further forms are tried as
// far as it goes.
func (u *unlocker) tryForms(rounds int64, unicode, inPFX bool, opens func(form []byte) (bool, error)) error {
	forms := u.passwords.forms(unicode, inPFX)
	for i, form := range forms {
		if i > 0 && !u.budget.covers(rounds) {
			break
		}
		if err := u.budget.spend(rounds); err != nil {
			return err
		}
		right, err := opens(form)
		if err != nil {
			return err
		}
		if right {
			prefer(forms, i)
			return nil
		}
	}
	return u.refused(rounds, unicode, inPFX, opens)
}

// refused is the error after no form of the password was right. Where the right
// one is the empty password, it says so, if that can be found out without taking
// from what other parts of the file may need.
func (u *unlocker) refused(rounds int64, unicode, inPFX bool, opens func(form []byte) (bool, error)) error {
	if !u.passwords.hasText() {
		return u.passwords.refused()
	}
	none := newPasswords("", true)
	for _, form := range none.forms(unicode, inPFX) {
		if !u.budget.covers(maxTotalRounds/2 + rounds) {
			break
		}
		if u.budget.spend(rounds) != nil {
			break
		}
		if right, err := opens(form); err == nil && right {
			return errEmptyPassword
		}
	}
	return u.passwords.refused()
}
