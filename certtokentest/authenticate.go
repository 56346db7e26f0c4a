package certtokentest

import (
	"net/http"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// grantNeeds are the parameters that each grant can't do without.
var grantNeeds = map[string][]string{
	grantClient:  {},
	grantUser:    {"assertion", "requested_token_use"},
	grantCode:    {"code"},
	grantRefresh: {"refresh_token"},
}

// checkGrant checks that everything is there, whatever it says.
func (c *call) checkGrant() *refusal.Refusal {
	grant := c.form("grant_type")
	switch {
	case grant == "":
		return refusal.Missing("grant_type")
	case grantNeeds[grant] == nil:
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
		if c.form(parameter) == "" {
			return refusal.Missing(parameter)
		}
	}
	return nil
}

func (c *call) checkCredential() *refusal.Refusal {
	kind := c.form("client_assertion_type")
	switch {
	case c.form("client_secret") != "":
		return refusal.New(7000215, "Invalid client secret provided. This server knows certificates only.")
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

// byTLS reports whether the client proves itself by its connection alone. Entra ID
// lets it only where it asks for a token that is bound to the certificate.
func (c *call) byTLS() bool {
	return len(c.chain) > 0 && c.form("client_assertion") == "" &&
		(c.route.dialect.tlsAuth || c.form("token_type") == tokenPoP)
}

// checkClient checks that the client is registered and proves it.
func (c *call) checkClient() (refused *refusal.Refusal) {
	client := c.endpoint.clients.Lookup(c.request.ClientID)
	if client == nil {
		return c.unknownClient()
	}
	if c.byTLS() {
		if refused = client.VerifyTLS(c.chain, c.now); refused == nil {
			c.request.Certificate = c.chain[0]
		}
		return refused
	}
	presented := proof.Presented{
		Assertion: c.assertion,
		ClientID:  c.request.ClientID,
		MayRepeat: c.endpoint.cfg.replay,
	}
	if c.route.dialect.reuse {
		presented.Request = c.request.Form.Encode() + "\n" + c.request.Header.Get("client-request-id")
	}
	rules := c.route.dialect.rules
	rules.Audiences = c.accepted()
	c.request.Certificate, refused = client.Verify(presented, &rules, &c.endpoint.used, c.now)
	return refused
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

// accepted are the audiences that an assertion may have at this endpoint.
func (c *call) accepted() []string {
	own := c.request.URL
	if c.route.dialect.issuerAudience {
		own = c.endpoint.cfg.issuerOf(c.route)
	}
	audiences := append([]string{own}, c.endpoint.cfg.audiences...)
	if c.route.dialect.looseAudience {
		audiences = append(audiences, c.request.URL)
	}
	return audiences
}
