package proof

import (
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
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
	if got, _ := a.verdict(keyset.Key{Public: found.Key}); got != valid {
		return refusal.New(700027, "Client assertion failed signature validation. "+
			"[Reason - The key was found, but the signature is not valid.]")
	}
	return Times{Leeway: r.Times.Leeway}.check(a.Claims, now)
}

// VerifyIssued checks a grant's assertion with the keys of its issuer, which is all that
// c's federations say. It may be used once.
func (c *Client) VerifyIssued(p Presented, r *Rules, used *Used, now time.Time) *refusal.Refusal {
	a := p.Assertion
	signed := func() *refusal.Refusal {
		for _, f := range c.federations {
			if got, _ := a.verdict(keyset.Key{Public: f.Key}); f.Issuer == a.Issuer() && got == valid {
				return nil
			}
		}
		return refusal.New(700027, "The assertion isn't signed by a key of its issuer '%s'.", a.Issuer())
	}
	for _, check := range []func() *refusal.Refusal{
		a.checkForm,
		func() *refusal.Refusal { return r.checkHeader(a) },
		signed,
		func() *refusal.Refusal { return r.checkAudience(a) },
		func() *refusal.Refusal { return checkSubject(a) },
		func() *refusal.Refusal { return r.Times.check(a.Claims, now) },
		func() *refusal.Refusal { return used.check(p, r.Times.Leeway, now) },
	} {
		if refused := check(); refused != nil {
			return refused
		}
	}
	return nil
}

func checkSubject(a *Assertion) *refusal.Refusal {
	if a.Subject() == "" {
		return refusal.MissingClaim("sub")
	}
	return nil
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
