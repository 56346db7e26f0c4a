package certtokentest_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefusedRequests(t *testing.T) {
	entra := "https://login.microsoftonline.com/"
	tests := []struct {
		name   string
		change func(form url.Values)
		url    string
		code   int
		err    string
		status int
	}{
		{"no grant type", func(v url.Values) { v.Del("grant_type") }, "", 900144, "invalid_request", 400},
		{"another grant type", func(v url.Values) { v.Set("grant_type", "password") }, "", 70003,
			"unsupported_grant_type", 400},
		{"no client id", func(v url.Values) { v.Del("client_id"); v.Set("client_assertion", "x") }, "", 900144,
			"invalid_request", 400},
		{"unknown client", func(v url.Values) { v.Set("client_id", "nobody") }, "", 700016, "unauthorized_client", 400},
		{"no credential", func(v url.Values) { v.Del("client_assertion") }, "", 7000218, "invalid_client", 401},
		{"a secret", func(v url.Values) { v.Set("client_secret", "x") }, "", 7000215, "invalid_client", 401},
		{"no assertion type", func(v url.Values) { v.Del("client_assertion_type") }, "", 900144, "invalid_request",
			400},
		{"another assertion type", func(v url.Values) { v.Set("client_assertion_type", "saml") }, "", 90023,
			"invalid_request", 400},
		{"a parameter twice", func(v url.Values) { v.Add("scope", graphScope) }, "", 90023, "invalid_request", 400},
		{"no scope", func(v url.Values) { v.Del("scope") }, "", 900144, "invalid_request", 400},
		{"scope without /.default", func(v url.Values) { v.Set("scope", "https://graph.microsoft.com/User.Read") },
			"", 1002012, "invalid_scope", 400},
		{"scope without a resource", func(v url.Values) { v.Set("scope", "/.default") }, "", 70011, "invalid_scope",
			400},
		{"only OpenID scopes", func(v url.Values) { v.Set("scope", "openid profile") }, "", 70011, "invalid_scope",
			400},
		{"two resources", func(v url.Values) { v.Set("scope", graphScope+" https://vault.azure.net/.default") }, "",
			700022, "invalid_scope", 400},
		{"unknown resource", func(v url.Values) { v.Set("scope", "https://nobody.example/.default") }, "", 500011,
			"invalid_resource", 400},
		{"claims are no object", func(v url.Values) { v.Set("claims", "[]") }, "", 90023, "invalid_request", 400},
		{"common", nil, entra + "common/oauth2/v2.0/token", 9001023, "invalid_request", 400},
		{"consumers", nil, entra + "consumers/oauth2/v2.0/token", 9001023, "invalid_request", 400},
		{"organizations", nil, entra + "organizations/oauth2/v2.0/token", 50194, "invalid_request", 400},
		{"malformed tenant", nil, entra + "con+toso/oauth2/v2.0/token", 900023, "invalid_request", 400},
		{"unknown tenant", nil, entra + "fabrikam.com/oauth2/v2.0/token", 90002, "invalid_request", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t,
				certtokentest.WithScopes(graphScope, "https://vault.azure.net/.default"),
				certtokentest.WithTenants(certtokentest.DefaultTenant))
			form := f.form()
			if tt.change != nil {
				tt.change(form)
			}
			target := tt.url
			if target == "" {
				target = f.srv.TokenURL()
			}
			r, err := f.do(tokenRequest(t, target, form))
			require.NoError(t, err)
			assert.Equal(t, tt.code, r.code(), r.text)
			assert.Equal(t, tt.err, r.body["error"])
			assert.Equal(t, tt.status, r.status)
			assert.Contains(t, r.body["error_description"], "AADSTS")
			assert.Equal(t, 1, f.srv.Count())
		})
	}
}

func tokenRequest(t *testing.T, target string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func TestMalformedRequests(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		send := func(method, contentType, body string, header ...string) reply {
			req, err := http.NewRequestWithContext(t.Context(), method, f.srv.TokenURL(), strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", contentType)
			for i := 0; i < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			r, err := f.do(req)
			require.NoError(t, err)
			assert.NotEmpty(t, r.header.Get("Date"))
			assert.Equal(t, "no-store", r.header.Get("Cache-Control"))
			return r
		}
		const form = "application/x-www-form-urlencoded"
		r := send(http.MethodGet, form, "")
		assert.Equal(t, http.StatusMethodNotAllowed, r.status)
		assert.Equal(t, "POST", r.header.Get("Allow"))
		assert.Equal(t, 900561, r.code())
		assert.Equal(t, http.StatusMethodNotAllowed, send(http.MethodPut, form, "").status)
		assert.Equal(t, 900144, send(http.MethodPost, "application/json", "{}").code())
		assert.Equal(t, 900144, send(http.MethodPost, "", "grant_type=client_credentials").code())
		assert.Equal(t, 90023, send(http.MethodPost, form, "a=%zz").code())
		assert.Equal(t, http.StatusRequestEntityTooLarge,
			send(http.MethodPost, form, "a="+strings.Repeat("x", 300<<10)).status)
		assert.Equal(t, 90023, send(http.MethodPost, form, f.form().Encode(), "Authorization", "Basic eDp5").code())
		assert.Equal(t, http.StatusOK, send(http.MethodPost, form+"; charset=UTF-8", f.form().Encode()).status)
		assert.Equal(t, http.StatusNotFound, f.get(f.srv.URL()+"/nowhere").status)
	})
}

func TestGrantedByClient(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		for name, authority := range map[string]certtoken.Authority{
			"the server's authority": f.srv.Authority(),
			"Entra itself":           certtoken.Entra(certtokentest.DefaultTenant),
			"another tenant":         certtoken.Entra("72f988bf-86f1-41af-91ab-2d7cd011db47"),
			"US Government":          certtoken.EntraUSGov("contoso.us"),
			"China":                  certtoken.EntraChina("contoso.cn"),
			"as in the article": f.srv.Authority(certtoken.WithAlgorithm(certtoken.RS512),
				certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA1)),
		} {
			t.Run(name, func(t *testing.T) {
				before, began := f.srv.Count(), time.Now()
				token, err := f.client(authority).Token(t.Context(), graphScope)
				require.NoError(t, err)
				assert.Equal(t, "Bearer", token.Type())
				assert.Equal(t, before+1, f.srv.Count(), "no discovery")
				assert.Equal(t, f.srv.LastRequest().AccessToken, token.AccessToken())
				isFromNow(t, began, certtokentest.DefaultLifetime, token.ExpiresAt())
			})
		}
	})
}

func TestADFS(t *testing.T) {
	f := newFixture(t)
	client := f.client(certtoken.ADFS("adfs.example.com"))
	_, err := client.Token(t.Context(), "https://api.example.com/read")
	require.NoError(t, err)
	assert.Equal(t, "https://adfs.example.com/adfs/oauth2/token", f.srv.LastRequest().URL)
	_, err = f.client(certtoken.ADFS("adfs.example.com", certtoken.WithAlgorithm(certtoken.PS256))).Token(t.Context(),
		"x")
	assert.ErrorContains(t, err, "invalid_client")
}

func TestAccessToken(t *testing.T) {
	f := newFixture(t, certtokentest.WithTokenLifetime(10*time.Minute), certtokentest.WithTokenSize(3000))
	form := f.form()
	form.Set("claims", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`)
	r := f.post(form)
	require.Equal(t, http.StatusOK, r.status, r.text)
	assert.Equal(t, map[string]any{
		"token_type": "Bearer", "expires_in": 600., "ext_expires_in": 600., "access_token": r.token(),
	}, r.body)
	assert.GreaterOrEqual(t, len(r.token()), 3000)
	assert.Less(t, len(r.token()), 3100)

	metadata := f.get(f.srv.Issuer() + "/.well-known/openid-configuration")
	require.Equal(t, http.StatusOK, metadata.status)
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(r.token(), claims, keyFrom(t, f.get(metadata.body["jwks_uri"].(string)).text),
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(metadata.body["issuer"].(string)),
		jwt.WithAudience("https://graph.microsoft.com"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	require.NoError(t, err)
	assert.Equal(t, clientID, claims["azp"])
	assert.Equal(t, f.srv.URL()+"/"+claims["tid"].(string)+"/v2.0", claims["iss"])
	assert.Regexp(t, guid, claims["tid"])
	assert.Equal(t, []any{"cp1"}, claims["xms_cc"])
}

const guid = `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`

// keyFrom reads a key set as a resource does.
func keyFrom(t *testing.T, set string) jwt.Keyfunc {
	t.Helper()
	var keys struct {
		Keys []struct{ Kid, Kty, N, E string }
	}
	require.NoError(t, json.Unmarshal([]byte(set), &keys))
	return func(token *jwt.Token) (any, error) {
		for _, k := range keys.Keys {
			if k.Kid == token.Header["kid"] && k.Kty == "RSA" {
				n, err := base64.RawURLEncoding.DecodeString(k.N)
				require.NoError(t, err)
				e, err := base64.RawURLEncoding.DecodeString(k.E)
				require.NoError(t, err)
				return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
			}
		}
		return nil, jwt.ErrTokenUnverifiable
	}
}

func TestResponseVariants(t *testing.T) {
	tests := []struct {
		name string
		opts []certtokentest.Option
		want map[string]any
	}{
		{"opaque", []certtokentest.Option{certtokentest.WithOpaqueTokens()},
			map[string]any{"token_type": "Bearer", "expires_in": 3599., "ext_expires_in": 3599.}},
		{"strings",
			[]certtokentest.Option{certtokentest.WithExpiresInString(),
				certtokentest.WithRefreshIn(time.Minute)}, map[string]any{
				"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "refresh_in": "60",
			}},
		{"lower case", []certtokentest.Option{certtokentest.WithTokenType("bearer")},
			map[string]any{"token_type": "bearer", "expires_in": 3599., "ext_expires_in": 3599.}},
		{"another scope", []certtokentest.Option{certtokentest.WithGrantedScope("a b")},
			map[string]any{"token_type": "Bearer", "expires_in": 3599., "ext_expires_in": 3599., "scope": "a b"}},
		{"empty scope", []certtokentest.Option{certtokentest.WithGrantedScope("")},
			map[string]any{"token_type": "Bearer", "expires_in": 3599., "ext_expires_in": 3599., "scope": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.opts...)
			r := f.post(f.form())
			assert.GreaterOrEqual(t, len(r.token()), 1536)
			delete(r.body, "access_token")
			assert.Equal(t, tt.want, r.body)
		})
	}
	t.Run("changed while running", func(t *testing.T) {
		f := newFixture(t, certtokentest.WithOpaqueTokens())
		f.srv.SetLifetime(90*time.Second + time.Millisecond)
		f.srv.SetRefreshIn(45 * time.Second)
		f.srv.SetGrantedScope("c")
		r := f.post(f.form())
		assert.Equal(t, 90., r.body["expires_in"])
		assert.Equal(t, 45., r.body["refresh_in"])
		assert.Equal(t, "c", r.body["scope"])
	})
}

func TestOpenIDScopesOfOtherClients(t *testing.T) {
	f := newFixture(t)
	form := f.form()
	form.Set("scope", graphScope+" openid offline_access profile")
	assert.Equal(t, http.StatusOK, f.post(form).status)
}

func TestGenericServer(t *testing.T) {
	tests := []struct {
		name     string
		issuer   string
		opts     []certtokentest.Option
		scope    string
		spoil    func(f *fixture, d *draft)
		change   func(v url.Values)
		err      string
		status   int
		codeSeen int
	}{
		{name: "its own address", status: 200},
		{name: "an issuer with a path", issuer: "https://id.example.com/realms/x", status: 200},
		{name: "several scopes", scope: "read write", status: 200},
		{name: "typ JWT", spoil: func(_ *fixture, d *draft) { d.header["typ"] = "JWT" }, status: 200},
		{name: "no typ", spoil: func(_ *fixture, d *draft) { delete(d.header, "typ") }, status: 200},
		{name: "no key identifier", spoil: func(_ *fixture, d *draft) { delete(d.header, "x5t#S256") }, status: 200},
		{name: "no client id", change: func(v url.Values) { v.Del("client_id") }, status: 200},
		{name: "no scope", change: func(v url.Values) { v.Del("scope") }, status: 200},
		{name: "token URL as audience, allowed",
			opts:  []certtokentest.Option{certtokentest.WithAudiences("https://issuer.example/token")},
			spoil: func(f *fixture, d *draft) { d.claims["aud"] = f.srv.TokenURL() }, status: 200},
		{name: "token URL as audience", spoil: func(f *fixture, d *draft) { d.claims["aud"] = f.srv.TokenURL() },
			err: "invalid_client", status: 401, codeSeen: 700023},
		{name: "unknown kid",
			spoil: func(_ *fixture,
				d *draft) {
				d.header = map[string]any{"typ": "JWT",
					"kid": "x"}
			}, err: "invalid_client", status: 401, codeSeen: 700027},
		{name: "unknown client", change: func(v url.Values) { v.Set("client_id", "x") }, err: "invalid_client",
			status: 401, codeSeen: 700016},
		{name: "unknown scope", scope: "read", opts: []certtokentest.Option{certtokentest.WithScopes("write")},
			err: "invalid_scope", status: 400, codeSeen: 70011},
		{name: "another grant", change: func(v url.Values) { v.Set("grant_type", "x") },
			err: "unsupported_grant_type", status: 400, codeSeen: 70003},
		{name: "a grant alone", change: func(v url.Values) {
			v.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
			v.Set("assertion", v.Get("client_assertion"))
			v.Del("client_assertion")
			v.Del("client_assertion_type")
			v.Del("client_id")
		}, err: "invalid_client", status: 401, codeSeen: 7000218},
		{name: "FAPI refuses RS256", opts: []certtokentest.Option{certtokentest.WithAlgorithms(certtoken.PS256)},
			spoil: func(_ *fixture,
				d *draft) {
				d.method = jwt.SigningMethodRS256
			}, err: "invalid_client", status: 401, codeSeen: 5002738},
		{name: "only the new typ",
			opts: []certtokentest.Option{certtokentest.WithAssertionTypes("client-authentication+jwt")},
			spoil: func(_ *fixture,
				d *draft) {
				d.header["typ"] = "JWT"
			}, err: "invalid_client", status: 401, codeSeen: 5002727},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, append(tt.opts, certtokentest.WithIssuer(tt.issuer))...)
			d := f.draft()
			d.header["typ"], d.claims["aud"] = "client-authentication+jwt", f.srv.Issuer()
			if tt.spoil != nil {
				tt.spoil(f, d)
			}
			form := f.form()
			form.Set("scope", tt.scope)
			form.Set("client_assertion", d.sign(t))
			if tt.change != nil {
				tt.change(form)
			}
			r := f.post(form)
			assert.Equal(t, tt.status, r.status, r.text)
			if tt.err != "" {
				assert.Equal(t, tt.err, r.body["error"])
				assert.NotContains(t, r.text, "AADSTS")
				assert.NotContains(t, r.body, "error_codes")
			} else {
				assert.Equal(t, form.Get("scope"), r.body["scope"])
			}
			assert.Equal(t, tt.codeSeen, f.srv.LastRequest().Code)
		})
	}
	t.Run("by certtoken", func(t *testing.T) {
		eachForm(t, func(t *testing.T, f *fixture) {
			for _, opts := range [][]certtoken.AuthorityOption{nil, {certtoken.WithFAPI()},
				{certtoken.WithAssertionType("JWT")}} {
				token, err := f.client(f.srv.Authority(opts...)).Token(t.Context(), "read", "write")
				require.NoError(t, err)
				assert.ElementsMatch(t, []string{"read", "write"}, token.Scopes())
			}
		}, certtokentest.WithIssuer(""))
	})
}
