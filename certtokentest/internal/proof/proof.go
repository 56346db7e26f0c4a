// Package proof decides whether a client is who it says it is: by a client
// assertion (RFC 7523 §2.2) of its own or from elsewhere, or by the certificate
// of its TLS connection (RFC 8705 §2). It holds what clients are registered with
// and which assertions were used. It never knows what a client asks for, nor how
// its answer is written.
package proof

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// Verify runs every check in the order in which the first failure tells most. It
// returns the certificate that the signature was verified with, or nil for an
// assertion from elsewhere. A refusal comes with the certificate too, if it was
// found.
func (c *Client) Verify(p Presented, r *Rules, used *Used, now time.Time) (*x509.Certificate, *refusal.Refusal) {
	a := p.Assertion
	if len(c.federations) > 0 && a.Issuer() != p.ClientID {
		return nil, c.verifyFederated(a, r, now)
	}
	var cert *x509.Certificate
	checks := []func() *refusal.Refusal{
		a.checkForm,
		func() *refusal.Refusal { return r.checkHeader(a) },
		func() (refused *refusal.Refusal) {
			cert, refused = c.signer(a, r, p.ClientID, now)
			return refused
		},
		func() *refusal.Refusal { return checkValidity(cert, now) },
		func() *refusal.Refusal { return r.checkAudience(a) },
		func() *refusal.Refusal { return checkIdentity(a, p.ClientID) },
		func() *refusal.Refusal { return r.Times.check(a.Claims, now) },
		func() *refusal.Refusal { return used.check(p, r.Times.Leeway, now) },
	}
	for _, check := range checks {
		if refused := check(); refused != nil {
			return cert, refused
		}
	}
	return cert, nil
}

// VerifyTLS accepts a client by the certificate of its connection, without an
// assertion: a registered one (RFC 8705 §2.2), or one with a trusted subject and
// issuer (§2.1).
func (c *Client) VerifyTLS(chain []*x509.Certificate, now time.Time) *refusal.Refusal {
	leaf := chain[0]
	if !slices.ContainsFunc(c.certs, leaf.Equal) {
		if refused := c.checkTrusted(chain, now, "TLS"); refused != nil {
			return refused
		}
	}
	return checkValidity(leaf, now)
}
