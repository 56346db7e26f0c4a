package certtokentest

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
	"github.com/golang-jwt/jwt/v5"
)

// checkUserAssertion wants a token that this server granted for the client. The
// log knows the tokens of this server, so their signature isn't verified.
func (c *call) checkUserAssertion() *refusal.Refusal {
	if use := c.form("requested_token_use"); use != "on_behalf_of" {
		return refusal.New(900144, "The request body must contain the following parameter: 'requested_token_use', "+
			"on_behalf_of, not '%s'.", use)
	}
	t, ok := c.endpoint.tokens.Find(c.form("assertion"))
	switch {
	case !ok || t.Revoked:
		return refusal.New(50013, "Assertion failed signature validation. [Reason - The key was not found.]")
	case t.User == "":
		return refusal.New(50013, "Assertion is not of a user: an app-only token can't be used on behalf of anybody.")
	case !c.isAudience(t.Audiences):
		return refusal.New(500131, "Assertion audience does not match the Client app presenting the assertion. "+
			"The audience in the assertion was '%s' and the expected audience is '%s'.",
			strings.Join(t.Audiences, ", "), c.request.ClientID)
	case !c.now.Before(t.Expires):
		return refusal.New(500133, "Assertion is not within its valid time range. Ensure that the access token is not "+
			"expired before using it for user assertion. Current time: %s, expiry time of assertion %s.",
			c.now.UTC().Format(time.RFC3339), t.Expires.UTC().Format(time.RFC3339))
	}
	c.user = t.User
	return nil
}

// isAudience reports whether a user's token is for the client. An agent's callers bring
// tokens for its blueprint.
func (c *call) isAudience(audiences []string) bool {
	agent, ok := c.agent()
	return slices.Contains(audiences, c.request.ClientID) || ok && slices.Contains(audiences, agent.Blueprint)
}

func (c *call) redeem(secret string, refresh bool) *refusal.Refusal {
	code, revoke, refused := c.endpoint.codes.Redeem(grants.Redemption{
		Secret:       secret,
		Refresh:      refresh,
		Keep:         refresh && c.route.dialect.keepRefresh,
		Reuse:        c.endpoint.cfg.reuse,
		ClientID:     c.request.ClientID,
		RedirectURI:  c.form("redirect_uri"),
		CodeVerifier: c.form("code_verifier"),
		Now:          c.now,
	})
	for _, token := range revoke {
		c.endpoint.tokens.Revoke(token)
	}
	if refused != nil {
		return refused
	}
	c.user, c.code = code.User, code
	return nil
}

// userFields adds what comes with a user's token: the next refresh token, and who
// the user is.
func (c *call) userFields(body map[string]any) {
	if c.user == "" {
		return
	}
	first := c.form("grant_type") != grantRefresh
	scopes, another := c.asked, slices.Contains(c.asked, "offline_access")
	if !first { // the next refresh token is for all that the one before was for (RFC 6749 §6)
		scopes, another = c.code.Scopes, c.route.dialect.newRefresh
	}
	if another {
		body["refresh_token"] = c.endpoint.codes.NewRefresh(grants.Code{
			ClientID: c.request.ClientID,
			User:     c.user,
			Scopes:   scopes,
			From:     c.code,
		}, c.now)
	}
	if slices.Contains(c.asked, "openid") {
		body["id_token"] = grants.SharedKey().Sign("JWT", c.idToken())
	}
	if c.route.dialect.tenants && c.form("client_info") == "1" { // by which MSAL keeps the user's tokens
		info := answer.Encode(map[string]string{"uid": grants.SubjectOf(c.user), "utid": tenant.ID(c.route.tenant)})
		body["client_info"] = base64.RawURLEncoding.EncodeToString(info)
	}
	body["scope"] = strings.Join(c.scopes, " ")
}

// idTokenClaims are those that idToken sets.
var idTokenClaims = []string{
	"iss", "aud", "sub", "iat", "nbf", "exp", "nonce", "preferred_username", "name", "oid", "tid", "ver",
}

// idToken says who the user is (OpenID Connect Core §2), to Entra ID's clients
// in its own claims too.
func (c *call) idToken() jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": c.endpoint.cfg.issuerOf(c.route), "aud": c.request.ClientID, "sub": grants.SubjectOf(c.user),
		"iat": c.now.Unix(), "nbf": c.now.Unix(), "exp": c.now.Add(time.Hour).Unix(), "name": c.user,
	}
	switch c.route.dialect.profile {
	case grants.EntraV1:
		claims["upn"], claims["unique_name"] = c.user, c.user
		claims["oid"], claims["tid"], claims["ver"] = claims["sub"], tenant.ID(c.route.tenant), "1.0"
	case grants.EntraV2:
		claims["preferred_username"] = c.user
		claims["oid"], claims["tid"], claims["ver"] = claims["sub"], tenant.ID(c.route.tenant), "2.0"
	default:
		claims["preferred_username"] = c.user
	}
	if c.code != nil && c.code.Nonce != "" {
		claims["nonce"] = c.code.Nonce
	}
	return claims
}
