package certfile

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// scheme is one password-based encryption, its parameters read and found
// acceptable: all that is missing is the password. PFX and encrypted PKCS #8
// share it.
type scheme struct {
	rounds    int64 // the price of one try
	blockSize int   // 1 for a stream cipher
	unicode   bool  // the password is a BMPString, not UTF-8

	// open decrypts with one form of the password. It returns nil where the
	// padding shows that the password is wrong.
	open func(password, ciphertext []byte) ([]byte, error)
}

// newScheme reads an encryption algorithm. Everything that can be refused
// without a password is refused here.
func newScheme(alg algorithm) (scheme, error) {
	switch alg.oid {
	case oidPBES2:
		return newPBES2(alg.params)
	case oidPKCS12RC4128, oidPKCS12RC440, oidPKCS123DES, oidPKCS122KeyDES, oidPKCS12RC2128, oidPKCS12RC240:
		return newPKCS12PBE(alg)
	case oidPBEMD5DES, oidPBEMD5RC2, oidPBESHA1DES, oidPBESHA1RC2:
		return newPBES1(alg)
	}
	return scheme{}, fmt.Errorf("%w: encryption with %s", ErrUnsupported, alg)
}

// decrypt tries the forms of the password on one ciphertext. Padding alone
// accepts one wrong password in 256, so valid has to recognise the plaintext.
// A first try that the budget doesn't cover is an error; further forms are
// tried as far as it goes.
func (r *reader) decrypt(s scheme, ciphertext []byte, inPFX bool, valid func([]byte) bool) ([]byte, error) {
	if len(ciphertext) == 0 || len(ciphertext)%s.blockSize != 0 {
		return nil, formatError("%d encrypted bytes are not a number of whole blocks", len(ciphertext))
	}
	forms := r.passwords.forms(s.unicode, inPFX)
	for i, form := range forms {
		if i > 0 && !r.budget.covers(s.rounds) {
			break
		}
		if err := r.budget.spend(s.rounds); err != nil {
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
	return nil, r.passwords.refused()
}

// readSaltAndRounds reads the parameters that PBES1 and the PKCS #12
// encryptions share.
func readSaltAndRounds(params cryptobyte.String) (salt []byte, rounds int64, err error) {
	var seq, octets cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&octets, cbasn1.OCTET_STRING) {
		return nil, 0, errParameters
	}
	if rounds, err = readCount(&seq); err != nil {
		return nil, 0, err
	}
	return octets, rounds, checkRounds(rounds)
}

var errParameters = formatError("the parameters of its encryption are broken")
