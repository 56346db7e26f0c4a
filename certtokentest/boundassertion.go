package certtokentest

import (
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// popKind is the client_assertion_type of an assertion that is bound to the certificate in
// TLS: a token of Entra ID's of the type mtls_pop.
const popKind = "urn:ietf:params:oauth:client-assertion-type:jwt-pop"

// checkTLSMatch checks that the certificate in TLS belongs to a verified assertion, at Entra
// ID. One that the client signed must be signed with it. One that is bound to a certificate
// must be bound to it, and must come as what it is.
func (c *call) checkTLSMatch() *refusal.Refusal {
	if !c.route.dialect.tenants {
		return nil
	}
	mismatch := refusal.New(500181, "The certificate presented in TLS does not match the certificate of the assertion.")
	signer, bound := c.request.Certificate, c.assertion.Confirmation()
	switch kind := c.form("client_assertion_type"); {
	case kind == popKind && bound == "":
		return refusal.New(90023, "The client_assertion of the type '%s' is not bound to a certificate.", kind)
	case kind == popKind && (len(c.chain) == 0 || proof.Confirmation(c.chain[0]) != bound):
		return mismatch
	case kind != popKind && bound != "":
		return refusal.New(90023, "The client_assertion is bound to a certificate. Its type must be '%s', not '%s'.",
			popKind, kind)
	case signer != nil && len(c.chain) > 0 && !signer.Equal(c.chain[0]):
		return mismatch
	}
	return nil
}

// bindsToTLS reports whether a token is bound to the certificate in TLS.
func (c *call) bindsToTLS() bool {
	return len(c.chain) > 0 && (!c.route.dialect.tenants || c.form("token_type") == tokenPoP)
}
