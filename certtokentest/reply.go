package certtokentest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
	"github.com/certtoken/certtoken/internal/dpop"
)

// refused answers with an error and records it.
func (c *call) refused(f *refusal.Refusal, form RefusalForm) *answer.Answer {
	f.Plain = cmp.Or(c.route.dialect.words[f.Reason], f.Plain)
	c.request.Error, c.request.Code, c.request.Description = f.Err, f.Code, f.Description
	if !c.route.dialect.aadsts || form != RefusalDefault {
		c.request.Error, c.request.Description = f.OAuthError(), f.PlainText()
	}
	wrongMethod := f.Status == http.StatusMethodNotAllowed
	a := c.route.refusal(f, form, c.now, c.request.Header.Get("client-request-id"))
	if wrongMethod {
		a.Header.Set("Allow", http.MethodPost)
	}
	if a.Status == http.StatusUnauthorized && c.request.Header.Get("Authorization") != "" {
		a.Header.Set("WWW-Authenticate", "Basic") // RFC 6749 §5.2
	}
	c.identify(a)
	return a
}

// refusal writes an error as the server does, or in a form that was asked for.
func (to route) refusal(f *refusal.Refusal, form RefusalForm, now time.Time, correlationID string) *answer.Answer {
	switch {
	case form != RefusalDefault:
		return form.write(f)
	case to.dialect.aadsts:
		return f.Entra(now, correlationID)
	}
	return f.OAuth()
}

// identify adds the headers by which Entra ID's support finds a request.
func (c *call) identify(a *answer.Answer) {
	if c.route.dialect.aadsts {
		a.Header.Set("X-Ms-Request-Id", ids.UUID())
		if id := c.request.Header.Get("client-request-id"); id != "" {
			a.Header.Set("Client-Request-Id", id)
		}
	}
}

// granted answers with a token.
func (c *call) granted() *answer.Answer {
	life := max(c.tune.lifetime.Truncate(time.Second), 0)
	token := c.issue(life)
	c.request.AccessToken = token

	body := map[string]any{"token_type": c.tune.tokenType, "access_token": token}
	if c.form("token_type") == tokenPoP {
		body["token_type"] = tokenPoP
	}
	if c.proofKey != "" {
		body["token_type"] = dpop.Scheme
	}
	c.putSeconds(body, "expires_in", life)
	if c.route.dialect.aadsts {
		c.putSeconds(body, "ext_expires_in", life)
	} else {
		body["scope"] = strings.Join(c.scopes, " ")
	}
	c.userFields(body)
	c.exchangeFields(body)
	if c.route.dialect.resource {
		c.resourceFields(body, life)
	}
	if c.tune.refreshIn > 0 {
		c.putSeconds(body, "refresh_in", c.tune.refreshIn)
	}
	if c.tune.granted != nil {
		body["scope"] = *c.tune.granted
	}
	a := answer.JSON(http.StatusOK, body)
	c.identify(a)
	return a
}

// issue makes an access token and remembers it.
func (c *call) issue(life time.Duration) string {
	t := &grants.Token{
		ClientID:  c.request.ClientID,
		User:      c.user,
		Subject:   c.subject,
		Actor:     c.actor,
		Audiences: c.audiences,
		Scopes:    c.scopes,
		Expires:   c.now.Add(life),
		Claims:    c.form("claims"),
		PoP:       c.form("token_type") == tokenPoP,
		Key:       c.proofKey,
	}
	if c.bindsToTLS() {
		t.Bound = proof.Confirmation(c.chain[0])
	}
	cfg := &c.endpoint.cfg
	token := ids.Text(cfg.tokenSize)
	if !cfg.opaque || slices.Contains(c.audiences, ExchangeAudience) { // those are assertions, which are never opaque
		issuance := grants.Issuance{
			Profile: c.route.dialect.profile,
			Issuer:  cfg.issuerOf(c.route),
			Now:     c.now,
			Size:    cfg.tokenSize,
		}
		if c.route.dialect.tenants {
			issuance.Tenant = tenant.ID(c.route.tenant)
		}
		token = issuance.Sign(t)
	}
	c.endpoint.tokens.Add(token, t)
	if c.code != nil {
		c.endpoint.codes.Gave(c.code, token)
	}
	return token
}

// resourceFields writes an answer as Entra ID's older endpoint does: numbers as
// text, with the very times.
func (c *call) resourceFields(body map[string]any, life time.Duration) {
	for _, name := range []string{"expires_in", "ext_expires_in", "refresh_in"} {
		if n, ok := body[name].(int64); ok {
			body[name] = strconv.FormatInt(n, 10)
		}
	}
	body["not_before"] = strconv.FormatInt(c.now.Unix(), 10)
	body["expires_on"] = strconv.FormatInt(c.now.Add(life).Unix(), 10)
	body["resource"] = c.audiences[0]
}
