package certtokentest

import (
	"net/http"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/possession"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/internal/dpop"
)

// grantNeeds are the parameters that each grant can't do without.
var grantNeeds = map[string][]string{
	grantClient:  {},
	grantUser:    {"assertion", "requested_token_use"},
	grantCode:    {"code"},
	grantRefresh: {"refresh_token"},

	grantExchange:  {"subject_token", "subject_token_type"},
	grantAgentUser: {"user_federated_identity_credential"},
}

// knowsGrant reports whether the kind of server knows the request's grant.
func (c *call) knowsGrant() bool {
	switch grant := c.form("grant_type"); grant {
	case grantExchange:
		return c.endpoint.cfg.generic
	case grantAgentUser:
		return c.route.dialect.tenants
	default:
		return grantNeeds[grant] != nil
	}
}

// checkGrant checks that everything is there, whatever it says.
func (c *call) checkGrant() *refusal.Refusal {
	grant := c.form("grant_type")
	switch {
	case grant == "":
		return refusal.Missing("grant_type")
	case !c.knowsGrant():
		return refusal.New(70003, "The app requested an unsupported grant type '%s'.", grant)
	}
	if refused := c.checkCredential(); refused != nil {
		return refused
	}
	if typ := c.form("token_type"); typ != "" && (typ != tokenPoP || len(c.chain) == 0) {
		return refusal.New(90023, "The token_type '%s' can't be granted: %s needs a certificate in the TLS handshake.",
			typ, tokenPoP)
	}
	for _, parameter := range grantNeeds[grant] {
		if parameter == "requested_token_use" && c.isBearerGrant() {
			continue
		}
		if c.form(parameter) == "" {
			return refusal.Missing(parameter)
		}
	}
	return nil
}

func (c *call) checkCredential() *refusal.Refusal {
	kind := c.form("client_assertion_type")
	switch {
	case c.form("client_secret") != "" || c.hasBasic():
		return refusal.New(7000215, "Invalid client secret provided. This server knows certificates only.")
	case c.byGrant() && kind == "": // the grant is the proof
		return nil
	case c.isBearerGrant() && c.form("client_assertion") == "" && !c.byTLS():
		return refusal.New(7000218, "The request must contain 'client_assertion' and 'client_assertion_type' "+
			"beside the grant's 'assertion', which isn't taken for the client's own proof.")
	case c.request.ClientID == "":
		return refusal.Missing("client_id")
	case c.byTLS() && kind == "": // the certificate is the proof
		return nil
	case c.form("client_assertion") == "":
		return refusal.New(7000218, "The request body must contain the following parameter: "+
			"'client_assertion' or 'client_secret'.").
			Plainly("The request must contain 'client_assertion' and 'client_assertion_type'.")
	case kind == "":
		return refusal.Missing("client_assertion_type")
	case kind == spiffeKind && c.endpoint.cfg.generic:
		return c.checkSPIFFE()
	case kind == popKind && c.route.dialect.tenants: // see checkTLSMatch
	case kind != assertionKind:
		return refusal.New(
			90023,
			"The client_assertion_type '%s' is not supported; it must be '%s'.",
			kind,
			assertionKind,
		)
	}
	return nil
}

// hasBasic reports whether the client shows a secret in the Authorization header, as most
// do that weren't told otherwise (RFC 6749 §2.3.1).
func (c *call) hasBasic() bool {
	scheme, _, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic")
}

// checkSPIFFE wants a JWT-SVID: an assertion from elsewhere, about a SPIFFE ID. Who signed it
// is checked by the trust domain's bundle, or as with other federated credentials.
func (c *call) checkSPIFFE() *refusal.Refusal {
	if !strings.HasPrefix(c.assertion.Subject(), "spiffe://") || c.assertion.Issuer() == c.request.ClientID {
		return refusal.New(90023, "The client_assertion is no JWT-SVID: its subject is '%s'.", c.assertion.Subject())
	}
	return nil
}

// byTLS reports whether the client proves itself by its connection alone. Entra ID
// lets it only where it asks for a token that is bound to the certificate.
func (c *call) byTLS() bool {
	return len(c.chain) > 0 && c.form("client_assertion") == "" &&
		(c.route.dialect.tlsAuth || c.form("token_type") == tokenPoP)
}

// checkClient checks that the client is registered and proves it.
func (c *call) checkClient() (refused *refusal.Refusal) {
	if c.byGrant() {
		return nil
	}
	client := c.endpoint.clients.Lookup(c.request.ClientID)
	if client == nil {
		return c.unknownClient()
	}
	if agent, ok := c.agent(); ok {
		client = c.agentFederation(agent)
	}
	rules := c.route.dialect.rules
	rules.Audiences = c.accepted()
	if c.byTLS() {
		if refused = client.VerifyTLS(c.ctx, c.chain, &rules, c.now); refused == nil {
			c.request.Certificate = c.chain[0]
		}
		return refused
	}
	presented := proof.Presented{
		Assertion: c.assertion,
		ClientID:  c.request.ClientID,
		MayRepeat: c.endpoint.cfg.replay,
		SVID:      c.form("client_assertion_type") == spiffeKind,
	}
	if c.route.dialect.reuse {
		presented.Request = c.request.Form.Encode() + "\n" + c.request.Header.Get("client-request-id")
	}
	c.request.Certificate, refused = client.Verify(c.ctx, presented, &rules, &c.endpoint.used, c.now)
	if refused != nil {
		return refused
	}
	return c.checkTLSMatch()
}

func (c *call) unknownClient() *refusal.Refusal {
	f := refusal.New(700016, "Application with identifier '%s' was not found in the directory '%s'. This can happen if "+
		"the application has not been installed by the administrator of the tenant or consented to by any user in the "+
		"tenant. You may have sent your authentication request to the wrong tenant.", c.request.ClientID, c.route.tenant).
		Plainly("The client '%s' is unknown.", c.request.ClientID)
	if c.route.dialect.aadsts {
		return f
	}
	return f.As("invalid_client", http.StatusUnauthorized) // RFC 6749 §5.2
}

// checkPossession checks the DPoP proof of a token request. It comes after the client's
// assertion, which is used up then whatever the proof is.
func (c *call) checkPossession() *refusal.Refusal {
	e := c.endpoint
	if e.proofs == nil || !c.route.dialect.dpop {
		return nil
	}
	if len(c.request.Header.Values(dpop.Header)) == 0 && !e.cfg.dpop.Required {
		return nil
	}
	key, refused := e.proofs.Check(possession.Request{
		Header: c.request.Header, Method: c.request.Method, Target: c.request.URL, Now: c.now,
	})
	if refused != nil {
		return &refusal.Refusal{Status: http.StatusBadRequest, Err: refused.Code, Description: refused.Description}
	}
	c.proofKey = key
	return nil
}
