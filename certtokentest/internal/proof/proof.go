// Package proof decides whether a client is who it says it is: by a client
// assertion (RFC 7523 §2.2) of its own or from elsewhere, or by the certificate
// of its TLS connection (RFC 8705 §2). It holds what clients are registered with
// and which assertions were used. It never knows what a client asks for, nor how
// its answer is written.
package proof

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// Verify runs every check in the order in which the first failure tells most. It
// returns the certificate of the key that the signature was verified with, or nil for
// a key without one and for an assertion from elsewhere. A refusal comes with the
// certificate too, if it was found. The context is for fetching a client's keys.
func (c *Client) Verify(
	ctx context.Context, p Presented, r *Rules, used *Used, now time.Time,
) (*x509.Certificate, *refusal.Refusal) {
	a := p.Assertion
	if p.SVID && len(c.workloads) > 0 {
		return nil, c.verifyWorkload(a, r, now)
	}
	if len(c.federations) > 0 && !p.ForUser && a.Issuer() != p.ClientID {
		return nil, c.verifyFederated(a, r, now)
	}
	if len(c.workloads) > 0 && !p.ForUser && isSVID(a) {
		return nil, refusal.New(700213, "A JWT-SVID must come as the client_assertion_type jwt-spiffe, and this one "+
			"came as another.")
	}
	var cert *x509.Certificate
	checks := []func() *refusal.Refusal{
		a.checkForm,
		func() *refusal.Refusal { return r.checkHeader(a) },
		func() *refusal.Refusal { return c.checkJWKSURL(a, r) },
		func() *refusal.Refusal {
			key, refused := c.signer(ctx, a, r, p.ClientID, now)
			cert = key.Cert
			return refused
		},
		func() *refusal.Refusal { return checkValidity(cert, now) },
		func() *refusal.Refusal { return r.checkAudience(a) },
		func() *refusal.Refusal { return checkIdentity(p) },
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
// assertion: a registered one (RFC 8705 §2.2), which may be in the x5c of its JWKs, or
// one with a trusted subject and issuer (§2.1).
func (c *Client) VerifyTLS(
	ctx context.Context, chain []*x509.Certificate, r *Rules, now time.Time,
) *refusal.Refusal {
	leaf := chain[0]
	if _, ok := leaf.PublicKey.(*rsa.PublicKey); !ok && r.RSA {
		// What Entra ID answers isn't known. Nobody reports that it takes another kind.
		return refusal.New(700027, "The certificate in TLS has a key of a kind that is not supported: %v. "+
			"Supported is RSA.", leaf.PublicKeyAlgorithm)
	}
	if !c.hasCertificate(ctx, leaf, now) {
		if refused := c.checkTrusted(chain, now, "TLS"); refused != nil {
			return refused
		}
	}
	return checkValidity(leaf, now)
}

// hasCertificate reports whether a certificate is registered. Keys that can't be
// fetched have none.
func (c *Client) hasCertificate(ctx context.Context, leaf *x509.Certificate, now time.Time) bool {
	for _, again := range []bool{false, true} {
		keys, err := c.registered(ctx, again, now)
		for _, key := range keys {
			if err == nil && key.Cert != nil && key.Cert.Equal(leaf) {
				return true
			}
		}
	}
	return false
}
