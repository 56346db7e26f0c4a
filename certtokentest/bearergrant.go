package certtokentest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// checkBearerGrant verifies the assertion with the keys of the client that signed it, or of
// an issuer that is trusted. All refusals are invalid_grant (RFC 7523 §3.1).
func (c *call) checkBearerGrant() *refusal.Refusal {
	assertion := proof.Read(c.form("assertion"))
	c.request.GrantHeader, c.request.GrantClaims = assertion.Header, assertion.Claims
	refused := c.verifyBearerGrant(assertion)
	if refused != nil {
		return refused.As("invalid_grant", http.StatusBadRequest)
	}
	c.grantScope, _ = assertion.Claims["scope"].(string)
	return nil
}

func (c *call) verifyBearerGrant(assertion *proof.Assertion) *refusal.Refusal {
	issuer, user := assertion.Issuer(), assertion.Subject()
	rules := c.route.dialect.rules
	if rules.Audiences = c.accepted(); !slices.Contains(rules.Audiences, c.request.URL) {
		rules.Audiences = append(rules.Audiences, c.request.URL)
	}
	rules.Types = []string{"JWT", ""} // one for client authentication says that it is for something else
	if trusted := c.endpoint.issuers.Lookup(issuer); trusted != nil {
		return c.verifyForeignGrant(trusted, assertion, &rules)
	}
	signer := c.endpoint.clients.Lookup(issuer)
	switch {
	case c.request.ClientID == "":
		c.request.ClientID = issuer
	case c.request.ClientID != issuer:
		signer = nil
	}
	if signer == nil {
		return refusal.New(700021, "The assertion's iss '%s' is neither the client nor a trusted issuer.", issuer)
	}
	presented := proof.Presented{
		Assertion: assertion, ClientID: issuer, MayRepeat: c.endpoint.cfg.replay, ForUser: true,
		NeedsNoID:      true,        // Kafka's clients and Google's libraries send none
		NeedsNoSubject: c.byGrant(), // as Google's service accounts
	}
	cert, refused := signer.Verify(c.ctx, presented, &rules, &c.endpoint.used, c.now)
	if refused != nil {
		return refused
	}
	if allowed, limited := c.tune.users[issuer]; limited && !slices.Contains(allowed, user) {
		return refusal.New(65001, "The user '%s' hasn't approved this consumer.", user)
	}
	c.user = user
	if c.byGrant() {
		c.request.Certificate = cert
	}
	return nil
}

// verifyForeignGrant verifies an assertion that a trusted issuer signed.
func (c *call) verifyForeignGrant(
	trusted *proof.Client, assertion *proof.Assertion, rules *proof.Rules,
) *refusal.Refusal {
	rules.Types = append(rules.Types, typeIDJAG)
	presented := proof.Presented{
		Assertion: assertion, ClientID: c.request.ClientID, MayRepeat: c.endpoint.cfg.replay, ForUser: true,
	}
	if refused := trusted.VerifyIssued(presented, rules, &c.endpoint.used, c.now); refused != nil {
		return refused
	}
	client, ok := assertion.Claims["client_id"]
	if typ, _ := assertion.Header["typ"].(string); !ok && strings.EqualFold(typ, typeIDJAG) {
		return refusal.MissingClaim("client_id") // draft-ietf-oauth-identity-assertion-authz-grant §3
	}
	if ok && client != c.request.ClientID {
		return refusal.New(700021, "The assertion is for the client '%v', and '%s' brings it.",
			client, c.request.ClientID)
	}
	c.request.ClientID = cmp.Or(c.request.ClientID, assertion.Subject())
	c.user = assertion.Subject()
	return nil
}
