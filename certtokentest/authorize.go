package certtokentest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// authorize checks everything about a well-formed request.
func (c *call) authorize() *refusal {
	for _, check := range []func() *refusal{
		c.checkTenant, c.checkGrant, c.checkClient, c.checkShown, c.checkScope, c.checkClaims,
	} {
		if refused := check(); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *call) checkTenant() *refusal {
	if c.route.dialect.tenants {
		return c.server.refuseTenant(c.route.tenant)
	}
	return nil
}

func (c *call) checkGrant() *refusal {
	form := c.request.Form
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return missing("grant_type")
	case grantNeeds[grant] == nil:
		return refuse(70003, "The app requested an unsupported grant type '%s'.", grant)
	case form.Get("client_secret") != "":
		return refuse(7000215, "Invalid client secret provided. This server knows certificates only.")
	case c.request.ClientID == "":
		return missing("client_id")
	case c.byTLS() && form.Get("client_assertion_type") == "": // the certificate is the proof
	case form.Get("client_assertion") == "":
		return refuse(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.").
			plainly("The request must contain 'client_assertion' and 'client_assertion_type'.")
	case form.Get("client_assertion_type") == "":
		return missing("client_assertion_type")
	case form.Get("client_assertion_type") != assertionKind:
		return refuse(90023, "The client_assertion_type '%s' is not supported; it must be '%s'.", form.Get("client_assertion_type"), assertionKind)
	}
	if typ := form.Get("token_type"); typ != "" && (typ != tokenPoP || len(c.chain) == 0) {
		return refuse(90023, "The token_type '%s' can't be granted: %s needs a certificate in the TLS handshake.", typ, tokenPoP)
	}
	for _, parameter := range grantNeeds[form.Get("grant_type")] {
		if form.Get(parameter) == "" {
			return missing(parameter)
		}
	}
	return nil
}

// byTLS tells whether the client proves itself by its connection alone. Entra ID
// lets it only where it asks for a token that is bound to the certificate.
func (c *call) byTLS() bool {
	form := c.request.Form
	return len(c.chain) > 0 && form.Get("client_assertion") == "" &&
		(c.route.dialect.tlsAuth || form.Get("token_type") == tokenPoP)
}

// grantNeeds are the parameters that each grant can't do without.
var grantNeeds = map[string][]string{
	grantClient:  {},
	grantUser:    {"assertion", "requested_token_use"},
	grantCode:    {"code"},
	grantRefresh: {"refresh_token"},
}

func missing(parameter string) *refusal {
	return refuse(900144, "The request body must contain the following parameter: '%s'.", parameter)
}

func (c *call) checkClient() *refusal {
	client := c.server.clients.lookup(c.request.ClientID)
	if client == nil {
		f := refuse(700016, "Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
			c.request.ClientID, c.route.tenant).plainly("The client '%s' is unknown.", c.request.ClientID)
		if !c.route.dialect.aadsts { // RFC 6749 §5.2: an unknown client is invalid_client
			f.err, f.status = "invalid_client", http.StatusUnauthorized
		}
		return f
	}
	if c.byTLS() {
		refused := verifyTLS(c.chain, client, c.now)
		if refused == nil {
			c.request.Certificate = c.chain[0]
		}
		return refused
	}
	c.proof = &proof{
		raw:       c.request.Form.Get("client_assertion"),
		dialect:   c.route.dialect,
		clientID:  c.request.ClientID,
		audiences: c.audiences(),
		lists:     c.loose(),
		now:       c.now,
		leeway:    c.tune.leeway,
	}
	if c.route.dialect.reuse {
		c.proof.request = c.request.Form.Encode() + "\n" + c.request.Header.Get("client-request-id")
	}
	refused := c.verify(client)
	c.request.Certificate = c.proof.cert
	return refused
}

// verify checks the assertion: the client's own, or one from elsewhere that it
// trusts.
func (c *call) verify(client *registration) *refusal {
	if iss, _ := c.request.AssertionClaims["iss"].(string); iss != c.request.ClientID && len(client.federations) > 0 {
		return c.proof.verifyFederated(client.federations)
	}
	return c.server.verify(c.proof, client)
}

// audiences are those that an assertion may have at this endpoint.
func (c *call) audiences() []string {
	own := c.request.URL
	if c.route.dialect.issuerAudience {
		own = c.server.issuerOf(c.route)
	}
	audiences := append([]string{own}, c.server.cfg.audiences...)
	if c.loose() {
		audiences = append(audiences, c.request.URL)
	}
	return audiences
}

// loose tells whether an audience may be what RFC 7523 §3 allows.
func (c *call) loose() bool { return c.route.dialect.issuerAudience && c.server.cfg.looseAudience }

func (c *call) checkScope() *refusal {
	asked := strings.Fields(c.request.Scope)
	if c.shown != nil {
		if len(asked) == 0 {
			asked = c.shown.Scopes
		}
		for _, scope := range asked {
			// MSAL adds OpenID Connect's to every request of a user's.
			added := c.route.dialect.aadsts && slices.Contains(oidcScopes, scope)
			if !added && !slices.Contains(c.shown.Scopes, scope) {
				return refuse(70011, "The scope '%s' was not part of the sign-in.", scope)
			}
		}
	}
	c.asked = asked
	if c.route.dialect.resource {
		return c.checkResource()
	}
	if !c.route.dialect.defaultScope {
		return c.checkPlainScope(asked)
	}
	if len(asked) == 0 {
		return missing("scope")
	}
	for _, scope := range asked {
		if slices.Contains(oidcScopes, scope) {
			continue // some clients add them, and Entra ID lets them
		}
		check := c.checkDefaultScope
		if c.user != "" {
			check = c.checkUserScope
		}
		if refused := check(scope); refused != nil {
			return refused
		}
	}
	if len(c.scopes) == 0 {
		return refuse(70011, "The provided request must include a 'scope' input parameter that names a resource. The scope '%s' is not valid.", c.request.Scope)
	}
	return nil
}

// checkDefaultScope wants {resource}/.default, of one resource.
func (c *call) checkDefaultScope(scope string) *refusal {
	resource, ok := strings.CutSuffix(scope, "/.default")
	switch {
	case !ok:
		return refuse(1002012, "The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope)
	case resource == "":
		return refuse(70011, "The provided value for the input parameter 'scope' is not valid. The scope '%s' does not exist.", scope)
	case len(c.scopes) > 0 && c.scopes[0] != scope:
		return refuse(700022, "The provided value for the input parameter scope is not valid because it contains more than one resource: %s.", c.request.Scope)
	case !c.server.grantsScope(scope):
		return refuse(500011, "The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.", resource, c.route.tenant)
	}
	c.scopes, c.resource = []string{scope}, resource
	return nil
}

// checkUserScope wants scopes of one resource, {resource}/{permission}.
func (c *call) checkUserScope(scope string) *refusal {
	end := strings.LastIndexByte(scope, '/')
	switch {
	case end <= 0 || strings.HasSuffix(scope[:end], "/"):
		return refuse(70011, "The provided value for the input parameter 'scope' is not valid. The scope '%s' does not exist.", scope)
	case c.resource != "" && c.resource != scope[:end]:
		return refuse(28000, "The provided value for the input parameter scope is not valid because it contains more than one resource: %s.", c.request.Scope)
	case !c.server.grantsScope(scope):
		return refuse(65001, "The user or administrator has not consented to use the application with ID '%s'.", c.request.ClientID)
	}
	c.scopes, c.resource = append(c.scopes, scope), scope[:end]
	return nil
}

// checkPlainScope is RFC 6749 §3.3.
func (c *call) checkPlainScope(asked []string) *refusal {
	for _, scope := range asked {
		if !c.server.grantsScope(scope) && (c.user == "" || !slices.Contains(oidcScopes, scope)) {
			return refuse(70011, "The scope '%s' is not known.", scope)
		}
	}
	c.scopes = asked
	if len(asked) > 0 {
		c.resource = asked[0]
	}
	return nil
}

func (s *Server) grantsScope(scope string) bool {
	return len(s.cfg.scopes) == 0 || slices.Contains(s.cfg.scopes, scope)
}

func (c *call) checkClaims() *refusal {
	claims := c.request.Form.Get("claims")
	var object map[string]any
	if claims != "" && (json.Unmarshal([]byte(claims), &object) != nil || object == nil) {
		return refuse(90023, "The parameter 'claims' is no JSON object.")
	}
	return nil
}
