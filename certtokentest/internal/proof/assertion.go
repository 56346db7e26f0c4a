package proof

import (
	"cmp"
	"errors"
	"slices"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/golang-jwt/jwt/v5"
)

// Assertion is a client assertion that was read. Nothing in it is verified.
type Assertion struct {
	Raw    string
	Header map[string]any // nil if it can't be read
	Claims jwt.MapClaims  // nil if they can't be read
	err    error
}

// Presented is an assertion that came with a request.
type Presented struct {
	Assertion *Assertion
	ClientID  string // of the request
	Request   string // that the assertion may be used for once; "": it may be used once
	ForUser   bool   // it is a grant: its subject is a user
	MayRepeat bool   // it may be used as often as it comes
	SVID      bool   // it comes as a JWT-SVID

	NeedsNoID      bool // it may lack jti (RFC 7523 §3), and may be used again then
	NeedsNoSubject bool // it may lack sub, and speaks for who signed it then
}

var parser = jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// Read reads an assertion as far as it can be read; what is wrong with it is
// told when it is verified.
func Read(raw string) *Assertion {
	a := &Assertion{Raw: raw}
	token, _, err := parser.ParseUnverified(raw, jwt.MapClaims{})
	if token != nil {
		a.Header = token.Header
		a.Claims, _ = token.Claims.(jwt.MapClaims)
	}
	a.err = err
	if err == nil || errors.Is(err, jwt.ErrTokenUnverifiable) {
		a.err = cmp.Or(strictForm(raw, a.Header, a.Claims), err)
	}
	return a
}

// checkForm refuses what is no JWT. An unknown algorithm is left to the check of
// the header, which names it.
func (a *Assertion) checkForm() *refusal.Refusal {
	if a.err == nil || errors.Is(a.err, jwt.ErrTokenUnverifiable) {
		return nil
	}
	return refusal.New(50027, "JWT token is invalid or malformed: %v.", a.err)
}

// Issuer is the assertion's iss, or "".
func (a *Assertion) Issuer() string { return a.text("iss") }

// Subject is the assertion's sub, or "". Without a readable assertion it is "".
func (a *Assertion) Subject() string { return a.text("sub") }

// Confirmation is the thumbprint of the certificate that the assertion is bound to (cnf,
// RFC 8705 §3.1), or "".
func (a *Assertion) Confirmation() string {
	cnf, _ := a.Claims["cnf"].(map[string]any)
	sum, _ := cnf["x5t#S256"].(string)
	return sum
}

func (a *Assertion) text(claim string) string {
	text, _ := a.Claims[claim].(string)
	return text
}

func (a *Assertion) algorithm() string {
	alg, _ := a.Header["alg"].(string)
	return alg
}

// keyName is how the header names the key, for messages.
func (a *Assertion) keyName() string {
	for _, name := range []string{"x5t#S256", "x5t", "kid"} {
		if id, _ := a.Header[name].(string); id != "" {
			return name + "=" + id
		}
	}
	return "none"
}

// namesKey reports whether the header names the key at all.
func (a *Assertion) namesKey() bool { return a.hasText("x5t#S256", "x5t", "kid") }

func (a *Assertion) hasText(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		text, _ := a.Header[name].(string)
		return text != ""
	})
}
