package certtokentest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
)

// legSubject is the subject of the assertion that a blueprint gets for its agent.
func legSubject(a Agent) string {
	return "/eid1/c/pub/t/" + tenant.ID(a.Tenant) + "/a/" + a.Blueprint + "/" + a.ID
}

// agentFederation is the credential that every agent has: its blueprint's assertions from
// its own tenant.
func (c *call) agentFederation(a Agent) *proof.Client {
	client := &proof.Client{}
	home := c.route
	home.tenant = a.Tenant
	home.base = strings.Replace(c.route.base, "/"+c.route.tenant, "/"+a.Tenant, 1)
	client.Federate(proof.Federation{
		Issuer: c.endpoint.cfg.issuerOf(home), Subject: legSubject(a), Audience: ExchangeAudience,
		Key: grants.SharedKey().Public(),
	})
	return client
}

// agent is the agent that the request's client is.
func (c *call) agent() (Agent, bool) {
	a, ok := c.tune.agents[c.request.ClientID]
	return a, ok && c.route.dialect.tenants
}

// checkFMIPath checks the first leg: a blueprint asks for an assertion for its agent. What
// the agent's own tenant is shows when the assertion is used.
func (c *call) checkFMIPath() *refusal.Refusal {
	path := c.form("fmi_path")
	if path == "" || !c.route.dialect.tenants {
		return nil
	}
	a, ok := c.tune.agents[path]
	switch {
	case !ok || a.Blueprint != c.request.ClientID:
		return agentRefusal("The fmi_path '%s' names no agent identity of the application '%s'.", path, c.request.ClientID)
	case c.form("grant_type") != grantClient || !slices.Equal(c.audiences, []string{ExchangeAudience}):
		return agentRefusal("The parameter fmi_path is for client credentials and the scope '%s/.default'.",
			ExchangeAudience)
	}
	a.Tenant = c.route.tenant
	c.subject = legSubject(a)
	return nil
}

// checkAgentUser checks the third leg: an agent acts as a user of its own.
func (c *call) checkAgentUser() *refusal.Refusal {
	a, ok := c.agent()
	name, id := c.form("username"), c.form("user_id")
	switch {
	case !ok:
		return agentRefusal("The application '%s' is no agent identity.", c.request.ClientID)
	case (name == "") == (id == ""):
		return agentRefusal("The request must name the user by one of 'username' and 'user_id'.")
	}
	t, ok := c.endpoint.tokens.Find(c.form("user_federated_identity_credential"))
	switch {
	case !ok || t.Revoked || !c.now.Before(t.Expires):
		return agentRefusal("The user_federated_identity_credential is not a token that is in force.")
	case t.Bound != "" && (len(c.chain) == 0 || proof.Confirmation(c.chain[0]) != t.Bound):
		return agentRefusal("The user_federated_identity_credential is bound to another certificate than that in TLS.")
	case t.ClientID != a.ID || t.User != "" || !slices.Contains(t.Audiences, ExchangeAudience):
		return agentRefusal("The user_federated_identity_credential is not the agent's own, for '%s'.", ExchangeAudience)
	}
	for _, user := range a.Users {
		if strings.EqualFold(user, name) || strings.EqualFold(grants.SubjectOf(user), id) {
			c.user = user
			return nil
		}
	}
	return agentRefusal("The agent '%s' has no such user.", a.ID)
}

func agentRefusal(format string, args ...any) *refusal.Refusal {
	return refusal.New(0, format, args...).As("invalid_grant", http.StatusBadRequest)
}
