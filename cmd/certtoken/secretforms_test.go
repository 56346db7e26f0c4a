package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// secrets are what must not be printed, in each of the forms that it might have
// there: what each is. Tests side by side add to them.
type secrets struct {
	mu    sync.RWMutex
	forms map[string]string
}

func newSecrets() *secrets { return &secrets{forms: make(map[string]string)} }

func (s *secrets) add(what, form string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forms[form] = what
}

// text adds a secret that is a text.
func (s *secrets) text(what, secret string) {
	s.bytes(what, []byte(secret))
	s.add(what, secret)
	s.add(what, url.QueryEscape(secret))
	s.add(what, url.PathEscape(secret))
	quoted := strconv.Quote(secret)
	s.add(what, quoted[1:len(quoted)-1])
}

func (s *secrets) bytes(what string, secret []byte) {
	s.add(what, string(secret))
	s.add(what, hex.EncodeToString(secret))
	s.add(what, strings.ToUpper(hex.EncodeToString(secret)))
	s.add(what, base64.RawStdEncoding.EncodeToString(secret))
	s.add(what, base64.RawURLEncoding.EncodeToString(secret))
}

// jwt adds a token or an assertion by its payload and its signature; the header
// is no secret.
func (s *secrets) jwt(what, jwt string) {
	for i, part := range strings.Split(jwt, ".") {
		if i > 0 {
			s.text(what, part)
		}
	}
}

// key adds a private key in pieces, so that a PEM is found however it is wrapped.
func (s *secrets) key(signer any) {
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		der := x509.MarshalPKCS1PrivateKey(key)
		s.pieces("a private key", der[bytes.Index(der, key.D.Bytes()):], 24) // before it stands the public key
		s.add("a private key", key.D.String()[:40])
	case *ecdsa.PrivateKey:
		number, err := key.Bytes()
		if err != nil {
			panic(err) // only for a curve that nobody uses here
		}
		s.pieces("a private key", number, 12)
		s.add("a private key", new(big.Int).SetBytes(number).String())
	case *ed25519.PrivateKey:
		s.pieces("a private key", key.Seed(), 12)
	case ed25519.PrivateKey:
		s.pieces("a private key", key.Seed(), 12)
	default:
		panic(fmt.Sprintf("a key of %T", signer))
	}
}

// pieces adds the parts of a secret as they stand in base64 that begins anywhere
// before it.
func (s *secrets) pieces(what string, secret []byte, size int) {
	for shift := range 3 { // three bytes are four digits of base64
		for at := shift; at+size <= len(secret); at += size {
			s.bytes(what, secret[at:at+size])
		}
	}
}

// find returns what of the secrets is in a text.
func (s *secrets) find(text string) map[string]bool {
	found := make(map[string]bool)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for secret, what := range s.forms {
		if strings.Contains(text, secret) {
			found[what] = true
		}
	}
	return found
}

// beginsJWT reports whether a JWT's header begins somewhere in a text: an object in
// base64url. Random base64 holds its first letters by chance, and some printable bytes behind
// them too, but no name of a member as well: once in ten trillion characters.
func beginsJWT(text string) bool {
	for _, run := range objectInBase64.FindAllString(text, -1) {
		object, err := base64.RawURLEncoding.DecodeString(run)
		if err == nil && beginsObject.Match(object) {
			return true
		}
	}
	return false
}

var (
	objectInBase64 = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{13}`)
	beginsObject   = regexp.MustCompile(`^\{"[a-z][a-z0-9_]{2,}(#S256)?(":[ -~]*|"?)$`)
)

func TestBeginsJWT(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	for text, want := range map[string]bool{
		encode([]byte(`{"alg":"RS256","typ":"JWT"}`)):                true,
		encode([]byte(`{"x5t#S256":"a"}`)):                           true,
		encode([]byte(`{"certtokentest_filler":"a"}`)):               true,
		"behind other text" + encode([]byte(`{"typ":"JWT"}`)) + ".e": true,
		encode([]byte(`{"alg":"RS256"}`))[:16]:                       true, // cut off
		encode([]byte("{\"\x7f\x80random bytes")):                    false,
		encode([]byte(`{"Tk;9 }%printable`)):                         false, // by chance
		"eyJ":                                                        false,
		"":                                                           false,
	} {
		if got := beginsJWT(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
