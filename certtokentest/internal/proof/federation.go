package proof

import (
	"crypto"
	"crypto/rsa"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/golang-jwt/jwt/v5"
)

// verifyFederated checks an assertion from elsewhere. It may come again: its
// issuer made it for longer than one request.
func (c *Client) verifyFederated(a *Assertion, r *Rules, now time.Time) *refusal.Refusal {
	for _, check := range []func() *refusal.Refusal{
		a.checkForm,
		func() *refusal.Refusal { return r.checkParameters(a) },
	} {
		if refused := check(); refused != nil {
			return refused
		}
	}
	found, refused := c.federation(a)
	if refused != nil {
		return refused
	}
	if !signedWith(a, found.Key) {
		return refusal.New(700027, "Client assertion failed signature validation. "+
			"[Reason - The key was found, but the signature is not valid.]")
	}
	return Times{Leeway: r.Times.Leeway}.check(a.Claims, now)
}

// federation finds the credential that the assertion matches, or says what
// doesn't match.
func (c *Client) federation(a *Assertion) (*Federation, *refusal.Refusal) {
	iss, sub := a.Issuer(), a.Subject()
	aud, _ := a.Claims.GetAudience()
	issuerKnown, subjectKnown := false, false
	for _, f := range c.federations {
		issuerKnown = issuerKnown || f.Issuer == iss
		subjectKnown = subjectKnown || f.Issuer == iss && f.Subject == sub
		if f.Issuer == iss && f.Subject == sub && slices.Contains(aud, f.Audience) {
			return &f, nil
		}
	}
	const none = "No matching federated identity record found for presented assertion "
	switch {
	case !issuerKnown:
		return nil, refusal.New(700211, none+"issuer '%s'.", iss)
	case !subjectKnown:
		return nil, refusal.New(700213, none+"subject '%s'.", sub)
	}
	return nil, refusal.New(700212, none+"audience '%v'.", aud)
}

// signedWith verifies a JWT whose algorithm must fit the key.
func signedWith(a *Assertion, key crypto.PublicKey) bool {
	methods := []string{"RS256", "PS256"}
	if _, ok := key.(*rsa.PublicKey); !ok {
		methods = []string{"ES256"}
	}
	_, err := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods(methods)).
		Parse(a.Raw, func(*jwt.Token) (any, error) { return key, nil })
	return err == nil
}
