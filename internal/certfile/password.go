package certfile

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// passwords holds the forms in which tools feed one password to a derivation.
// The first form is what the standard asks for; the others are tried because a
// tool is known to write them.
type passwords struct {
	given bool

	// bmp: for the PKCS #12 derivation, a BMPString with a terminator.
	bmp [][]byte
	// utf8: for PBES2, PBMAC1 and PBES1.
	utf8 [][]byte
	// pfx: as utf8, inside a PFX.
	pfx [][]byte
}

func newPasswords(password string, given bool) passwords {
	if !given || password == "" {
		// A BMPString has a terminator even if it is empty, but some writers
		// take no password at all for an empty one. Without a password both are
		// tried too: Key Vault's files have an empty one.
		return passwords{
			given: given,
			bmp:   [][]byte{{0, 0}, {}},
			utf8:  [][]byte{{}},
			pfx:   [][]byte{{}, {0, 0}},
		}
	}
	p := passwords{given: true, utf8: [][]byte{[]byte(password)}}
	if utf8.ValidString(password) {
		p.bmp = append(p.bmp, bmpString(password))
	}
	if !isASCII(password) {
		// OpenSSL before 1.1.0 took each byte for a character.
		p.bmp = append(p.bmp, bmpString(bytesAsRunes(password)))
		// node-forge, and a terminal set to Latin-1.
		if latin1, ok := toLatin1(password); ok {
			p.utf8 = append(p.utf8, latin1)
		}
	}
	// NSS before 3.31 fed the BMPString to PBES2 as well.
	p.pfx = append(append(p.pfx, p.utf8...), p.bmp[0])
	return p
}

// prefer moves a form to the front once it has proved right, so that it is the
// first to be tried for the next part of the file.
func prefer(forms [][]byte, i int) {
	right := forms[i]
	copy(forms[1:i+1], forms[:i])
	forms[0] = right
}

// bmpString is UTF-16BE with a terminator. RFC 7292 appendix B.1 says BMPString,
// which has no surrogates; tools write them for what lies beyond.
func bmpString(s string) []byte {
	units := utf16.Encode([]rune(s))
	out := make([]byte, 0, 2*len(units)+2)
	for _, u := range units {
		out = append(out, byte(u>>8), byte(u))
	}
	return append(out, 0, 0)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func bytesAsRunes(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func toLatin1(s string) ([]byte, bool) {
	var out []byte
	for _, r := range s {
		if r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// forms are what to try, best first.
func (p *passwords) forms(unicode, inPFX bool) [][]byte {
	switch {
	case unicode:
		return p.bmp
	case inPFX:
		return p.pfx
	default:
		return p.utf8
	}
}

// refused is the error after no form of the password was right.
func (p *passwords) refused() error {
	if !p.given {
		return ErrPasswordRequired
	}
	return fmt.Errorf("%w (or the file is damaged)", ErrWrongPassword)
}

// hasText reports whether a password was given that isn't empty.
func (p *passwords) hasText() bool { return p.given && len(p.utf8[0]) > 0 }

var errEmptyPassword = fmt.Errorf("%w: the password of the file is empty; give an empty one, or none", ErrWrongPassword)
