package certtoken_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/jwks"
)

// product is a server that nobody here can ask: what its documentation demands of a request,
// and what it answers.
type product struct {
	name, issuer, tokenURL string
	written                string // the options and the request, as the page has them
	options                []certtoken.AuthorityOption
	request                certtoken.Request

	aud      []string
	typ      string // "": any
	algs     []string
	header   []string      // one of these fields must be there; none: no matter
	none     []string      // and none of these
	ahead    time.Duration // that exp may be in the future; 0: no matter
	age      time.Duration // that iat may be in the past
	span     time.Duration // from iat to exp
	fields   map[string]string
	claims   map[string]any
	answer   string
	lifetime time.Duration
}

const (
	generic  = "docs/generic.md"
	netsuite = "https://ACCOUNT.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
	nhs      = "https://api.service.nhs.uk/oauth2/token"
	loginGov = "https://secure.login.gov/api/openid_connect/token"
	okta     = "https://HOST/oauth2/ID/v1/token"
)

// granted is an answer as most servers write it.
const hourly = `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`

var products = []product{
	{
		name: "Okta", issuer: "https://HOST/oauth2/ID", tokenURL: okta,
		written: "`WithAudience(tokenURL)`, `WithKeyIDFunc(jwks.KeyID)`; new service apps: `WithDPoP()` too",
		options: []certtoken.AuthorityOption{certtoken.WithAudience(okta), certtoken.WithKeyIDFunc(jwks.KeyID)},
		aud:     []string{okta}, header: []string{"kid"}, ahead: time.Hour, lifetime: time.Hour, answer: hourly,
	},
	{
		name: "Auth0", issuer: "https://TENANT.auth0.com/", tokenURL: "https://TENANT.auth0.com/oauth/token",
		written: "`WithParameter(\"audience\", API)`",
		options: []certtoken.AuthorityOption{certtoken.WithParameter("audience", "https://api.example")},
		aud:     []string{"https://TENANT.auth0.com/"}, algs: []string{"RS256", "RS384", "PS256"},
		span:   5 * time.Minute,
		fields: map[string]string{"audience": "https://api.example"}, lifetime: 24 * time.Hour,
		answer: `{"access_token":"abc","scope":"read","expires_in":86400,"token_type":"Bearer"}`,
	},
	{
		name: "PingOne", issuer: "https://auth.pingone.com/ENV/as", tokenURL: "https://auth.pingone.com/ENV/as/token",
		written: "none",
		aud:     []string{"https://auth.pingone.com/ENV/as", "https://auth.pingone.com/ENV/as/token"},
		algs:    []string{"RS256", "RS384", "RS512"}, ahead: time.Hour, lifetime: time.Hour, answer: hourly,
	},
	{
		name: "OpenIddict 7", issuer: "https://HOST/", tokenURL: "https://HOST/connect/token", written: "none",
		aud: []string{"https://HOST/"}, typ: "client-authentication+jwt", lifetime: time.Hour, answer: hourly,
	},
	{
		name: "Oracle's identity domains", issuer: "https://identity.oraclecloud.com/",
		tokenURL: "https://DOMAIN.identity.oraclecloud.com/oauth2/v1/token",
		written:  "`WithAssertionType(\"JWT\")`, `WithThumbprintHeader(certtoken.ThumbprintSHA1)`",
		options: []certtoken.AuthorityOption{
			certtoken.WithAssertionType("JWT"), certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA1),
		},
		aud: []string{"https://identity.oraclecloud.com/"}, typ: "JWT", header: []string{"x5t", "kid"},
		algs: []string{"RS256"}, lifetime: time.Hour, answer: hourly,
	},
	{
		name: "NetSuite", issuer: "https://ACCOUNT.suitetalk.api.netsuite.com", tokenURL: netsuite,
		written: "`WithAudience(tokenURL)`, `WithAlgorithm(certtoken.PS256)`, `WithAssertionType(\"JWT\")`, " +
			"`WithKeyID(CERTIFICATE_ID)`, `WithAssertionClaims(map[string]any{\"scope\": \"rest_webservices\"})`; " +
			"no scopes " +
			"in the request",
		options: []certtoken.AuthorityOption{
			certtoken.WithAudience(netsuite), certtoken.WithAlgorithm(certtoken.PS256),
			certtoken.WithAssertionType("JWT"),
			certtoken.WithKeyID("certificate-id"),
			certtoken.WithAssertionClaims(map[string]any{"scope": "rest_webservices"}),
		},
		aud: []string{netsuite}, typ: "JWT", header: []string{"kid"}, span: time.Hour,
		algs:   []string{"PS256", "PS384", "PS512", "ES256", "ES384", "ES512"},
		claims: map[string]any{"scope": "rest_webservices"}, lifetime: time.Hour,
		answer: `{"access_token":"abc","expires_in":"3600","token_type":"bearer"}`,
	},
	{
		name: "NHS England", issuer: "https://api.service.nhs.uk", tokenURL: nhs,
		written: "`WithAudience(tokenURL)`, `WithAlgorithm(certtoken.RS512)`, `WithAssertionType(\"JWT\")`, " +
			"`WithKeyID(KID)`",
		options: []certtoken.AuthorityOption{
			certtoken.WithAudience(nhs), certtoken.WithAlgorithm(certtoken.RS512), certtoken.WithAssertionType("JWT"),
			certtoken.WithKeyID("test-1"),
		},
		aud: []string{nhs}, typ: "JWT", header: []string{"kid"}, algs: []string{"RS512"}, ahead: 5 * time.Minute,
		answer:   `{"access_token":"abc","expires_in":"599","token_type":"Bearer","issued_at":"1795428000000"}`,
		lifetime: 599 * time.Second,
	},
	{
		name: "HelseID", issuer: "https://helseid-sts.nhn.no", tokenURL: "https://helseid-sts.nhn.no/connect/token",
		written: "`WithKeyIDFunc(jwks.KeyID)`, `WithLifetime(40*time.Second)`, `WithBackdate(10*time.Second)`",
		options: []certtoken.AuthorityOption{
			certtoken.WithKeyIDFunc(jwks.KeyID), certtoken.WithLifetime(40 * time.Second),
			certtoken.WithBackdate(10 * time.Second),
		},
		aud: []string{"https://helseid-sts.nhn.no"}, header: []string{"kid"}, ahead: time.Minute, span: time.Minute,
		lifetime: time.Hour, answer: hourly,
	},
	{
		name: "Maskinporten", issuer: "https://maskinporten.no/", tokenURL: "https://maskinporten.no/token",
		written: "`WithoutClientAuthentication()`, `WithX5C()` or `WithKeyID(KID)`, `WithBackdate(5*time.Second)`; " +
			"[the grant](salesforce.md#maskinporten)",
		options: []certtoken.AuthorityOption{
			certtoken.WithoutClientAuthentication(), certtoken.WithX5C(), certtoken.WithBackdate(5 * time.Second),
		},
		request: certtoken.Request{Grant: certtoken.JWTBearer(certtoken.Assertion{
			Claims: map[string]any{"scope": "skatteetaten:x"},
		})},
		aud: []string{"https://maskinporten.no/"}, header: []string{"x5c", "kid"}, age: 10 * time.Second,
		span: 2 * time.Minute, algs: []string{"RS256", "RS384", "RS512"},
		claims: map[string]any{"scope": "skatteetaten:x"}, lifetime: 599 * time.Second,
		answer: `{"access_token":"abc","token_type":"Bearer","expires_in":599,"scope":"skatteetaten:x"}`,
	},
	{
		name: "iSHARE", issuer: "EORI", tokenURL: "https://HOST/connect/token",
		written: "`WithX5C()`, `WithThumbprintHeader(certtoken.ThumbprintNone)`, `WithAssertionType(\"JWT\")`, " +
			"`WithLifetime(30*time.Second)`, `WithBackdate(0)`; the issuer is the server's EORI, the client id yours",
		options: []certtoken.AuthorityOption{
			certtoken.WithX5C(), certtoken.WithThumbprintHeader(certtoken.ThumbprintNone),
			certtoken.WithAssertionType("JWT"), certtoken.WithLifetime(30 * time.Second), certtoken.WithBackdate(0),
		},
		aud: []string{"EORI"}, typ: "JWT", algs: []string{"RS256"}, header: []string{"x5c"}, none: []string{"x5t#S256"},
		span: 30 * time.Second, lifetime: time.Hour, answer: hourly,
	},
	{
		name: "login.gov", issuer: "https://secure.login.gov/", tokenURL: loginGov,
		written: "`WithAudience(tokenURL)`; the grant is [`AuthorizationCode`](users.md#codes-and-refresh-tokens)",
		options: []certtoken.AuthorityOption{certtoken.WithAudience(loginGov)},
		request: certtoken.Request{Grant: certtoken.AuthorizationCode("code", "https://app.example/callback", "")},
		aud:     []string{loginGov}, algs: []string{"RS256"}, ahead: 5 * time.Minute,
		fields: map[string]string{"code": "code"}, lifetime: 15 * time.Minute,
		answer: `{"access_token":"abc","token_type":"Bearer","expires_in":900,"id_token":"i"}`,
	},
	{
		name: "Zitadel's service users", issuer: "https://HOST", tokenURL: "https://HOST/oauth/v2/token",
		written: "`WithoutClientAuthentication()`, `WithKeyID(KEY_ID)`; the client id is the user's, and the grant " +
			"`JWTBearer(certtoken.Assertion{})`",
		options: []certtoken.AuthorityOption{certtoken.WithoutClientAuthentication(), certtoken.WithKeyID("key-id")},
		request: certtoken.Request{Grant: certtoken.JWTBearer(certtoken.Assertion{})},
		aud:     []string{"https://HOST"}, header: []string{"kid"}, ahead: time.Hour, lifetime: 43199 * time.Second,
		answer: `{"access_token":"abc","token_type":"Bearer","expires_in":43199}`,
	},
}

// refuses says what the server doesn't take of a request, or "".
func (p product) refuses(t *testing.T, r *recorder) string {
	jwt := r.form.Get("client_assertion")
	if r.form.Has("assertion") {
		jwt = r.form.Get("assertion")
	}
	head, body := decodedJWT(t, jwt)
	var header, claims map[string]any
	require.NoError(t, json.Unmarshal(head, &header))
	require.NoError(t, json.Unmarshal(body, &claims))
	since := func(claim string) time.Duration {
		at, ok := claims[claim].(float64)
		require.True(t, ok, claim)
		return time.Since(time.Unix(int64(at), 0))
	}
	has := func(name string) bool { return header[name] != nil }
	typ, alg, aud := fmt.Sprint(header["typ"]), fmt.Sprint(header["alg"]), fmt.Sprint(claims["aud"])
	switch {
	case r.url != p.tokenURL:
		return "the address " + r.url
	case !slices.Contains(p.aud, aud):
		return "the audience " + aud
	case p.typ != "" && typ != p.typ:
		return "the type " + typ
	case len(p.algs) > 0 && !slices.Contains(p.algs, alg):
		return "the algorithm " + alg
	case len(p.header) > 0 && !slices.ContainsFunc(p.header, has):
		return fmt.Sprint("a header without ", p.header)
	case slices.ContainsFunc(p.none, has):
		return fmt.Sprint("a header with ", p.none)
	case p.ahead > 0 && -since("exp") > p.ahead:
		return "an end far ahead"
	case p.age > 0 && since("iat") > p.age:
		return "an old assertion"
	case p.span > 0 && since("iat")-since("exp") > p.span:
		return "a long assertion"
	}
	for name, want := range p.fields {
		if r.form.Get(name) != want {
			return "the field " + name
		}
	}
	for name, want := range p.claims {
		if !assert.ObjectsAreEqual(want, claims[name]) {
			return "the claim " + name
		}
	}
	return ""
}

// ask sends a request to the server, and returns what was wrong with it.
func (p product) ask(t *testing.T, opts ...certtoken.AuthorityOption) string {
	wire := new(recorder)
	answer := answering(http.StatusOK, "application/json", p.answer)
	hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := wire.RoundTrip(req)
		if err != nil || resp.Body.Close() != nil {
			return nil, err
		}
		return answer.RoundTrip(req)
	})}
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	client, err := certtoken.NewClient(certtoken.Issuer(p.issuer, p.tokenURL, opts...), "app", cert,
		certtoken.WithHTTPClient(hc))
	require.NoError(t, err)
	defer client.Close()
	token, err := client.Acquire(t.Context(), p.request)
	require.NoError(t, err)
	assert.Equal(t, p.lifetime, time.Until(token.ExpiresAt()))
	return p.refuses(t, wire)
}

// The settings that the page names for a server are what its documentation demands, and
// nothing else is.
func TestServersByTheirDocumentation(t *testing.T) {
	var table strings.Builder
	table.WriteString("| server | issuer, token endpoint | options |\n|---|---|---|\n")
	for _, p := range products {
		bubble(t, func(t *testing.T) {
			assert.Empty(t, p.ask(t, p.options...), p.name)
			grantAlone := strings.Contains(p.written, "WithoutClientAuthentication")
			if p.written != "none" && !grantAlone {
				assert.NotEmpty(t, p.ask(t), "%s: the options aren't needed", p.name)
			}
		})
		fmt.Fprintf(&table, "| %s | `%s`, `%s` | %s |\n", p.name, p.issuer, p.tokenURL, p.written)
	}
	checkTable(t, generic, "documented", table.String())
}
