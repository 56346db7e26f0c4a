package proof

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/golang-jwt/jwt/v5"
)

// signer finds the certificate that verifies the signature: a registered one, or
// one that the client's subject-name/issuer trust covers.
func (c *Client) signer(a *Assertion, r *Rules, clientID string, now time.Time) (*x509.Certificate, *refusal.Refusal) {
	candidates := c.candidates(a, r.KnownKeyID)
	if len(candidates) == 0 && len(c.trusts) > 0 {
		leaf, refused := c.trustedLeaf(a, r, now)
		if refused != nil {
			return nil, refused
		}
		candidates = append(candidates, leaf)
	}
	if len(candidates) == 0 {
		registered := strings.Join(c.thumbprints(), ", ")
		return nil, refusal.New(700027, "The certificate with identifier used to sign the client assertion is not "+
			"registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s', "+
			"registered: '%s'. Please visit the Azure Portal and check the registered certificates of app '%s'.]",
			a.keyName(), registered, clientID).
			Plainly("The certificate that signed the assertion is not registered for this client: "+
				"the assertion names '%s', registered are '%s'.", a.keyName(), registered)
	}
	for _, cert := range candidates {
		if a.signedBy(cert) {
			return cert, nil
		}
	}
	return nil, refusal.New(700027, "Client assertion failed signature validation. [Reason - The key was found, "+
		"but the signature is not valid., Thumbprint of key used by client: '%s'.]", a.keyName()).
		Plainly("The assertion's signature is not valid; the assertion names '%s'.", a.keyName())
}

func (a *Assertion) signedBy(cert *x509.Certificate) bool {
	end := strings.LastIndexByte(a.Raw, '.')
	signature, err := base64.RawURLEncoding.Strict().DecodeString(a.Raw[end+1:])
	return err == nil && jwt.GetSigningMethod(a.algorithm()).Verify(a.Raw[:end], signature, cert.PublicKey) == nil
}

// trustedLeaf verifies x5c against the client's trusts. The header's thumbprint
// must be the leaf's.
func (c *Client) trustedLeaf(a *Assertion, r *Rules, now time.Time) (*x509.Certificate, *refusal.Refusal) {
	chain, err := parseX5C(a.Header["x5c"])
	if err != nil {
		return nil, refusal.New(700027, "The certificate used to sign the client assertion is not registered on "+
			"application, and x5c can't be used: %v.", err).
			Plainly("The certificate that signed the assertion is not registered for this client, "+
				"and x5c can't be used: %v.", err)
	}
	claimed := &Client{certs: chain[:1], keyIDs: c.keyIDs}
	if len(claimed.candidates(a, r.KnownKeyID)) == 0 {
		return nil, refusal.New(
			700027,
			"Client assertion's x5c holds another certificate than its thumbprint names: '%s'.",
			a.keyName(),
		)
	}
	if refused := c.checkTrusted(chain, now, "x5c"); refused != nil {
		return nil, refused
	}
	return chain[0], nil
}
