package certtokentest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// checkScope decides what the token is for.
func (c *call) checkScope() *refusal.Refusal {
	c.asked = strings.Fields(cmp.Or(c.request.Scope, c.grantScope))
	if refused := c.checkConsent(); refused != nil {
		return refused
	}
	switch {
	case c.route.dialect.resource:
		return c.checkResource()
	case c.route.dialect.defaultScope:
		return c.checkEntraScopes()
	}
	return c.checkPlainScope()
}

// checkConsent wants no more than the user signed in for.
func (c *call) checkConsent() *refusal.Refusal {
	if c.code == nil {
		return nil
	}
	if len(c.asked) == 0 {
		c.asked = c.code.Scopes
	}
	for _, scope := range c.asked {
		// MSAL adds OpenID Connect's to every request of a user's.
		added := c.route.dialect.aadsts && slices.Contains(oidcScopes, scope)
		if !added && !slices.Contains(c.code.Scopes, scope) {
			return refusal.New(70011, "The scope '%s' was not part of the sign-in.", scope)
		}
	}
	return nil
}

func (c *call) checkEntraScopes() *refusal.Refusal {
	if len(c.asked) == 0 {
		return refusal.Missing("scope")
	}
	for _, scope := range c.asked {
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
		return refusal.New(70011, "The provided request must include a 'scope' input parameter that names a resource. "+
			"The scope '%s' is not valid.", c.request.Scope)
	}
	return nil
}

// checkDefaultScope wants {resource}/.default, of one resource.
func (c *call) checkDefaultScope(scope string) *refusal.Refusal {
	resource, ok := strings.CutSuffix(scope, "/.default")
	switch {
	case !ok:
		return refusal.New(1002012,
			"The provided value for scope %s is not valid. Client credential flows must have a "+
				"scope value with /.default suffixed to the resource identifier (application ID URI).", scope)
	case resource == "":
		return noSuchScope(scope)
	case len(c.scopes) > 0 && c.scopes[0] != scope:
		return refusal.New(700022, severalResources, c.request.Scope)
	case !c.grantsScope(scope):
		return c.unknownResource(resource)
	}
	c.scopes, c.audiences = []string{scope}, []string{resource}
	return nil
}

// checkUserScope wants scopes of one resource, {resource}/{permission}.
func (c *call) checkUserScope(scope string) *refusal.Refusal {
	end := strings.LastIndexByte(scope, '/')
	switch {
	case end <= 0 || strings.HasSuffix(scope[:end], "/"):
		return noSuchScope(scope)
	case len(c.audiences) > 0 && c.audiences[0] != scope[:end]:
		return refusal.New(28000, severalResources, c.request.Scope)
	case !c.grantsScope(scope):
		return refusal.New(65001, "The user or administrator has not consented to use the application with ID '%s'.",
			c.request.ClientID)
	}
	c.scopes, c.audiences = append(c.scopes, scope), []string{scope[:end]}
	return nil
}

const severalResources = "The provided value for the input parameter scope is not valid because " +
	"it contains more than one resource: %s."

func noSuchScope(scope string) *refusal.Refusal {
	return refusal.New(70011, "The provided value for the input parameter 'scope' is not valid. "+
		"The scope '%s' does not exist.", scope)
}

func (c *call) unknownResource(resource string) *refusal.Refusal {
	return refusal.New(500011,
		"The resource principal named %s was not found in the tenant named %s. This can happen if "+
			"the application has not been installed by the administrator of the tenant or consented to by any user in the "+
			"tenant.", resource, c.route.tenant)
}

// checkResource is for Entra ID's older endpoint, whose requests name a resource
// and no permissions.
func (c *call) checkResource() *refusal.Refusal {
	resource := c.form("resource")
	switch {
	case resource == "":
		return refusal.Missing("resource")
	case strings.ContainsAny(resource, " \t\r\n"), !c.grantsScope(strings.TrimSuffix(resource, "/") + "/.default"):
		return c.unknownResource(resource)
	}
	c.audiences, c.scopes = []string{resource}, []string{resource + "/.default"}
	if c.user != "" {
		c.scopes = []string{"user_impersonation"}
	}
	return nil
}

// checkPlainScope is RFC 6749 §3.3. The token is for the resources that the request
// names (RFC 8707), else for the first scope.
func (c *call) checkPlainScope() *refusal.Refusal {
	for _, scope := range c.asked {
		if !c.grantsScope(scope) && (c.user == "" || !slices.Contains(oidcScopes, scope)) {
			return refusal.New(70011, "The scope '%s' is not known.", scope)
		}
	}
	c.scopes = c.asked
	for _, resource := range c.request.Form["resource"] {
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || strings.Contains(resource, "#") {
			const text = "The resource '%s' is not an absolute URI without a fragment (RFC 8707 §2)."
			return refusal.New(0, text, resource).As("invalid_target", http.StatusBadRequest)
		}
	}
	c.audiences = slices.Concat(c.request.Form["resource"], c.request.Form["audience"])
	switch {
	case len(c.audiences) > 0:
	case len(c.asked) > 0:
		c.audiences = c.asked[:1]
	default: // RFC 9068 §3 wants one
		c.audiences = []string{c.endpoint.cfg.issuerOf(c.route)}
	}
	return nil
}

func (c *call) grantsScope(scope string) bool {
	known := c.endpoint.cfg.scopes
	return len(known) == 0 || slices.Contains(known, scope)
}

func (c *call) checkClaims() *refusal.Refusal {
	claims := c.form("claims")
	var object map[string]any
	if claims != "" && (json.Unmarshal([]byte(claims), &object) != nil || object == nil) {
		return refusal.New(90023, "The parameter 'claims' is no JSON object.")
	}
	return nil
}
