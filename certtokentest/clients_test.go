package certtokentest_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
)

// contosoID is the GUID of contoso.com, the same in every process.
const contosoID = "ee3a3477-7f78-8d55-92a7-eb221264b237"

// Every kind of authority that clients know describes itself consistently, and
// its token endpoint takes an assertion for the address that it gives.
func TestDiscoveryOfEveryAuthority(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		for base, issuer := range map[string]string{
			"/contoso.com":                                 "/{guid}/v2.0",
			"/contoso.com/B2C_1_sign-in":                   "/{guid}/B2C_1_sign-in/v2.0",
			"/tfp/contoso.com/B2C_1_sign-in":               "/tfp/{guid}/B2C_1_sign-in/v2.0",
			"/dstsv2/7a433bfc-2514-4697-b467-e0933190487f": "/dstsv2/7a433bfc-2514-4697-b467-e0933190487f/v2.0",
		} {
			issuer = strings.Replace(issuer, "{guid}", contosoID, 1)
			meta := f.get(f.srv.URL() + base + "/v2.0/.well-known/openid-configuration")
			require.Equal(t, http.StatusOK, meta.status, base)
			assert.Equal(t, f.srv.URL()+issuer, meta.body["issuer"])
			assert.Equal(t, f.srv.URL()+base+"/oauth2/v2.0/token", meta.body["token_endpoint"])
			assert.Contains(t, f.get(meta.body["jwks_uri"].(string)).text, `"kty":"RSA"`)
			d := f.draft()
			d.claims["aud"] = meta.body["token_endpoint"]
			form := f.form()
			form.Set("client_assertion", d.sign(t))
			r, err := f.do(tokenRequest(t, meta.body["token_endpoint"].(string), form))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, r.status, r.text)
		}
		adfs := f.get("https://fs.example.com/adfs/.well-known/openid-configuration")
		assert.Equal(t, "https://fs.example.com/adfs", adfs.body["issuer"])
		assert.Equal(t, "https://fs.example.com/adfs/oauth2/token", adfs.body["token_endpoint"])
		assert.Contains(t, f.get(adfs.body["jwks_uri"].(string)).text, `"kty":"RSA"`)
		for _, path := range []string{"/a/b/c/oauth2/v2.0/token", "/oauth2/v2.0/token", "/adfs/nothing"} {
			assert.Equal(t, http.StatusNotFound, f.get(f.srv.URL()+path).status, path)
		}
	})
}

// ADAL's endpoint: a resource instead of scopes, and numbers as text.
func TestV1Endpoint(t *testing.T) {
	f := newFixture(t, certtokentest.WithScopes(graphScope))
	endpoint := f.srv.URL() + "/contoso.com/oauth2/token"
	ask := func(resource string) reply {
		d := f.draft()
		d.claims["aud"] = endpoint
		form := f.form()
		form.Set("client_assertion", d.sign(t))
		form.Del("scope")
		if resource != "" {
			form.Set("resource", resource)
		}
		r, err := f.do(tokenRequest(t, endpoint+"?api-version=1.0", form))
		require.NoError(t, err)
		return r
	}
	r := ask("https://graph.microsoft.com")
	require.Equal(t, http.StatusOK, r.status, r.text)
	assert.Equal(t, "3599", r.body["expires_in"])
	assert.Equal(t, "https://graph.microsoft.com", r.body["resource"])
	assert.Regexp(t, `^\d{10}$`, r.body["expires_on"])
	assert.Regexp(t, `^\d{10}$`, r.body["not_before"])
	assert.Equal(t, 900144, ask("").code())
	assert.Equal(t, 500011, ask("https://unknown.example").code())
	assert.Equal(t, 500011, ask("https://graph.microsoft.com x").code())
}

func TestLooseAudience(t *testing.T) {
	for name, tt := range map[string]struct {
		aud  func(issuer, endpoint string) any
		code int
	}{
		"issuer":               {func(i, _ string) any { return i }, 0},
		"token endpoint":       {func(_, e string) any { return e }, 0},
		"list of one":          {func(i, _ string) any { return []string{i} }, 0},
		"list of both":         {func(i, e string) any { return []string{i, e} }, 0},
		"list with a stranger": {func(i, _ string) any { return []string{i, "https://other.example"} }, 700023},
		"empty list":           {func(_, _ string) any { return []string{} }, 50027},
		"list of a number":     {func(i, _ string) any { return []any{i, 1} }, 50027},
		"another":              {func(_, _ string) any { return "https://other.example" }, 700023},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, certtokentest.WithIssuer(""), certtokentest.WithLooseAudience())
			d := f.draft()
			d.claims["aud"] = tt.aud(f.srv.Issuer(), f.srv.TokenURL())
			form := f.form()
			form.Set("client_assertion", d.sign(t))
			f.post(form)
			assert.Equal(t, tt.code, f.srv.LastRequest().Code)
		})
	}
}

// With response_mode=form_post the browser sends what the redirect would say, whatever
// stands in it (OAuth 2.0 Form Post Response Mode).
func TestSignInByForm(t *testing.T) {
	field := regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	f := newFixture(t)
	page := func(state string, change func(url.Values)) url.Values {
		query := url.Values{
			"client_id": {clientID}, "redirect_uri": {"https://app.example/back?a=b&c=\"d\""},
			"response_type": {"code"},
			"scope":         {graphScope}, "state": {state}, "response_mode": {"form_post"},
		}
		change(query)
		r := f.get(f.srv.URL() + "/" + certtokentest.DefaultTenant + "/oauth2/v2.0/authorize?" + query.Encode())
		require.Equal(t, http.StatusOK, r.status, r.text)
		assert.Equal(t, "text/html; charset=utf-8", r.header.Get("Content-Type"))
		assert.Empty(t, r.header.Get("Location"))
		assert.Contains(t, r.text, `<form method="post" action="https://app.example/back?a=b&amp;c=&#34;d&#34;">`)
		assert.Equal(t, 1, strings.Count(r.text, "<script>"), r.text)
		form := url.Values{}
		for _, found := range field.FindAllStringSubmatch(r.text, -1) {
			form.Add(html.UnescapeString(found[1]), html.UnescapeString(found[2]))
		}
		assert.Equal(t, state, form.Get("state"))
		return form
	}
	const state = `"><script>alert('&')</script>`
	form := page(state, func(url.Values) {})
	r := f.shown(url.Values{
		"grant_type": {"authorization_code"}, "code": {form.Get("code")},
		"redirect_uri": {"https://app.example/back?a=b&c=\"d\""}, "scope": {graphScope},
	})
	assert.Equal(t, http.StatusOK, r.status, r.text)
	refused := page("s", func(v url.Values) { v.Set("response_type", "token") })
	assert.Equal(t, "unsupported_response_type", refused.Get("error"))
	assert.Empty(t, refused.Get("code"))
	assert.Contains(t, f.get(f.srv.URL()+"/contoso.com/v2.0/.well-known/openid-configuration").text,
		`"response_modes_supported":["query","form_post"]`)
}

// A client's sign-in: the page, the code, the user's tokens and MSAL's
// client_info, whatever OpenID scopes are added on the way.
func TestSignIn(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		began := time.Now()
		page := func(change func(url.Values)) reply {
			query := url.Values{
				"client_id": {clientID}, "redirect_uri": {"https://app.example/back?a=b"}, "response_type": {"code"},
				"scope": {"https://graph.microsoft.com/User.Read"}, "state": {"s"}, "nonce": {"n"},
				"login_hint": {"ada@contoso.com"},
			}
			change(query)
			return f.get(f.srv.URL() + "/" + certtokentest.DefaultTenant + "/oauth2/v2.0/authorize?" + query.Encode())
		}
		back := func(r reply) url.Values {
			require.Equal(t, http.StatusFound, r.status, r.text)
			u, err := url.Parse(r.header.Get("Location"))
			require.NoError(t, err)
			assert.Equal(t, "app.example", u.Host)
			assert.Equal(t, "b", u.Query().Get("a"))
			assert.Equal(t, "s", u.Query().Get("state"))
			return u.Query()
		}
		for name, change := range map[string]func(url.Values){
			"unsupported_response_type": func(v url.Values) { v.Set("response_type", "token") },
			"invalid_request":           func(v url.Values) { v.Set("code_challenge", "x") },
		} {
			assert.Equal(t, name, back(page(change)).Get("error"))
		}
		for _, change := range []func(url.Values){
			func(v url.Values) { v.Set("client_id", "nobody") },
			func(v url.Values) { v.Set("redirect_uri", "/back") },
			func(v url.Values) { v.Del("redirect_uri") },
		} {
			r := page(change)
			assert.Equal(t, http.StatusBadRequest, r.status)
			assert.Empty(t, r.header.Get("Location"), "what isn't sure isn't redirected to")
		}

		r := f.shown(url.Values{
			"grant_type": {"authorization_code"}, "code": {back(page(func(url.Values) {})).Get("code")},
			"redirect_uri": {"https://app.example/back?a=b"},
			"scope": {
				"https://graph.microsoft.com/User.Read openid profile offline_access",
			}, "client_info": {"1"},
		})
		require.Equal(t, http.StatusOK, r.status, r.text)
		assert.NotEmpty(t, r.body["refresh_token"])
		keys := f.get(f.srv.URL() + "/common/discovery/v2.0/keys").text
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(r.body["id_token"].(string), claims, keyFrom(t, keys),
			jwt.WithIssuer(f.srv.Issuer()), jwt.WithAudience(clientID))
		require.NoError(t, err)
		assert.Equal(t, "n", claims["nonce"])
		assert.Equal(t, "ada@contoso.com", claims["preferred_username"])
		raw, err := base64.RawURLEncoding.DecodeString(r.body["client_info"].(string))
		require.NoError(t, err)
		var info struct{ UID, UTID string }
		require.NoError(t, json.Unmarshal(raw, &info))
		assert.Equal(t, claims["oid"], info.UID)
		assert.Equal(t, claims["tid"], info.UTID)
		isFromNow(t, began, certtokentest.DefaultLifetime, time.Unix(int64(claims["exp"].(float64)), 0))
	})
}
