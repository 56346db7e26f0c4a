package certtokentest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the servers that a preset is called after take and refuse.
func TestPresets(t *testing.T) {
	at := func(claim string, d time.Duration) func(f *fixture, d *draft) {
		return func(_ *fixture, draft *draft) { draft.claims[claim] = time.Now().Add(d).Unix() }
	}
	keycloak, betterAuth := certtokentest.LikeKeycloak(), certtokentest.LikeBetterAuth()
	tests := map[string]struct {
		like   certtokentest.Option
		spoil  func(f *fixture, d *draft)
		status int
	}{
		"Keycloak":                      {keycloak, at("iat", 0), 200},
		"Keycloak, two minutes back":    {keycloak, at("iat", -2*time.Minute), 400},
		"Keycloak, half a minute back":  {keycloak, at("iat", -30*time.Second), 200},
		"Keycloak, a few seconds ahead": {keycloak, at("iat", 10*time.Second), 200},
		"Keycloak, a minute ahead":      {keycloak, at("iat", time.Minute), 400},
		"Keycloak, token URL": {keycloak, func(f *fixture, d *draft) { d.claims["aud"] = f.srv.TokenURL() },
			200},
		"Keycloak, unknown key":         {keycloak, func(f *fixture, _ *draft) { f.srv.Replace(clientID) }, 400},
		"Better Auth":                   {betterAuth, at("exp", 4*time.Minute), 200},
		"Better Auth, ten minutes":      {betterAuth, at("exp", 10*time.Minute), 401},
		"Better Auth, six minutes back": {betterAuth, at("iat", -6*time.Minute), 401},
		"Glewlwyd":                      {certtokentest.LikeGlewlwyd(), at("exp", time.Minute), 200},
		"Glewlwyd, an hour":             {certtokentest.LikeGlewlwyd(), at("exp", time.Hour), 403},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, certtokentest.WithIssuer(""), tt.like)
				d := f.draft()
				d.claims["aud"] = f.srv.Issuer()
				tt.spoil(f, d)
				r := f.post(f.formOf(d))
				assert.Equal(t, tt.status, r.status, r.text)
				if tt.status == 403 {
					assert.Empty(t, r.text)
				}
			})
		})
	}
}

// Keycloak sends no Date, over a connection too, whatever it answers.
func TestWithoutDate(t *testing.T) {
	for name, opt := range map[string]certtokentest.Option{
		"Keycloak": certtokentest.LikeKeycloak(),
		"asked":    certtokentest.WithoutDate(),
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, f *fixture) {
				began := time.Now()
				d := f.draft()
				d.claims["aud"] = f.srv.Issuer()
				f.srv.Fail(certtokentest.Fault{}, certtokentest.Fault{Code: 90055, RetryAfter: time.Hour,
					RetryDate: true})
				granted, refused := f.post(f.formOf(d)), f.post(f.formOf(f.draft()))
				require.Equal(t, 200, granted.status, granted.text)
				for _, r := range []reply{granted, refused, f.get(f.srv.URL() + "/.well-known/openid-configuration")} {
					assert.Empty(t, r.header.Values("Date"))
				}
				until, err := http.ParseTime(refused.header.Get("Retry-After"))
				require.NoError(t, err)
				isFromNow(t, began, time.Hour, until)
			}, certtokentest.WithIssuer(""), opt)
		})
	}
}

func TestTimeLimits(t *testing.T) {
	f := newFixture(t, certtokentest.WithTimeLimits(certtokentest.TimeLimits{NeedIssuedAt: true}))
	d := f.draft()
	delete(d.claims, "iat")
	assert.Equal(t, 90014, f.post(f.formOf(d)).code())
	assert.Zero(t, f.post(f.form()).code())
	_, err := certtokentest.Start(certtokentest.WithTimeLimits(certtokentest.TimeLimits{MaxAge: -1}))
	assert.ErrorContains(t, err, "negative")
}

// Servers that forgive no second.
func TestNoLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, certtokentest.WithIssuer(""), certtokentest.WithLeeway(0))
		for ahead, status := range map[time.Duration]int{0: 200, time.Second: 401} {
			d := f.draft()
			d.claims["aud"], d.claims["nbf"] = f.srv.Issuer(), time.Now().Add(ahead).Unix()
			assert.Equal(t, status, f.post(f.formOf(d)).status)
		}
	})
}

// A kid that the server doesn't know counts only where nothing else names the key
// at Entra ID, and everywhere at most others.
func TestUnknownKeyIDBesideThumbprint(t *testing.T) {
	for name, c := range map[string]struct {
		opts   []certtokentest.Option
		keyID  string
		status int
	}{
		"Entra ID":                     {nil, "unknown", 200},
		"issuer":                       {[]certtokentest.Option{certtokentest.WithIssuer("")}, "unknown", 401},
		"issuer, registered":           {[]certtokentest.Option{certtokentest.WithIssuer("")}, "mine", 200},
		"issuer, of another key":       {[]certtokentest.Option{certtokentest.WithIssuer("")}, "another", 401},
		"issuer, hexadecimal of SHA-1": {[]certtokentest.Option{certtokentest.WithIssuer("")}, "sha1", 200},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.opts...)
			f.srv.RegisterKeyID(clientID, "mine", f.cert.Leaf)
			f.srv.RegisterKeyID(clientID, "another", certtokentest.NewCertificate(t).Leaf)
			d := f.draft()
			d.header["kid"] = c.keyID
			if c.keyID == "sha1" {
				raw, err := base64.RawURLEncoding.DecodeString(sha1Thumbprint(f.cert))
				require.NoError(t, err)
				d.header["kid"] = hexOf(raw)
			}
			if len(c.opts) > 0 {
				d.claims["aud"] = f.srv.Issuer()
			}
			r := f.post(f.formOf(d))
			assert.Equal(t, c.status, r.status, r.text)
		})
	}
}

func claimsOf(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	require.NoError(t, err)
	return parsed.Header, parsed.Claims.(jwt.MapClaims)
}

// The endpoint of each version of Entra ID grants tokens of that version.
func TestTokenVersions(t *testing.T) {
	f := newFixture(t)
	_, v2 := claimsOf(t, f.post(f.form()).token())
	assert.Equal(t, "2.0", v2["ver"])
	assert.NotContains(t, v2, "appid")
	assert.Equal(t, f.srv.Issuer(), v2["iss"])

	v1URL := strings.Replace(f.srv.TokenURL(), "/v2.0", "", 1)
	d := f.draft()
	d.claims["aud"] = v1URL
	form := f.formOf(d)
	form.Set("resource", "https://graph.microsoft.com")
	r, err := f.do(tokenRequest(t, v1URL, form))
	require.NoError(t, err)
	_, v1 := claimsOf(t, r.token())
	assert.Equal(t, "1.0", v1["ver"])
	assert.NotContains(t, v1, "azp")
	assert.Equal(t, "https://sts.windows.net/"+v1["tid"].(string)+"/", v1["iss"])
	assert.Equal(t, v2["tid"], v1["tid"])
}

// A tenant has two names, and both are known.
func TestTenantByGUID(t *testing.T) {
	f := newFixture(t, certtokentest.WithTenants("contoso.com"))
	target := f.srv.URL() + "/" + contosoID + "/oauth2/v2.0/token"
	d := f.draft()
	d.claims["aud"] = target
	r, err := f.do(tokenRequest(t, target, f.formOf(d)))
	require.NoError(t, err)
	_, claims := claimsOf(t, r.token())
	assert.Equal(t, contosoID, claims["tid"])
}

// RFC 9068, and RFC 8707's several resources.
func TestIssuerTokens(t *testing.T) {
	f := newFixture(t, certtokentest.WithIssuer("https://id.example.com"))
	ask := func(change func(form map[string][]string)) reply {
		d := f.draft()
		d.claims["aud"] = f.srv.Issuer()
		form := f.formOf(d)
		form.Set("scope", "read write")
		change(form)
		return f.post(form)
	}
	header, claims := claimsOf(t, ask(func(map[string][]string) {}).token())
	assert.Equal(t, "at+jwt", header["typ"])
	assert.NotEmpty(t, claims["jti"])
	assert.Equal(t, "read", claims["aud"])
	assert.Equal(t, "read write", claims["scope"])
	assert.Equal(t, clientID, claims["sub"])
	assert.Equal(t, clientID, claims["client_id"])

	r := ask(func(form map[string][]string) { form["resource"] = []string{"https://a.example", "https://b.example"} })
	_, claims = claimsOf(t, r.token())
	assert.Equal(t, []any{"https://a.example", "https://b.example"}, claims["aud"])
	f.srv.Handle("api.example.com/", f.srv.Resource("https://b.example", nil))
	status, _ := f.call("Bearer " + r.token())
	assert.Equal(t, 200, status)

	_, claims = claimsOf(t, ask(func(form map[string][]string) { form["scope"] = nil }).token())
	assert.Equal(t, "https://id.example.com", claims["aud"], "without scope and resource")
	for _, bad := range []string{"no-uri", "https://a.example#fragment"} {
		r = ask(func(form map[string][]string) { form["resource"] = []string{bad} })
		assert.Equal(t, 400, r.status)
		assert.Equal(t, "invalid_target", r.body["error"])
	}
	assert.Equal(t, 400, ask(func(form map[string][]string) { form["scope"] = []string{"a", "b"} }).status)
}

func TestWithoutRefreshRotation(t *testing.T) {
	for name, opts := range map[string][]certtokentest.Option{"Entra ID": nil,
		"issuer": {certtokentest.WithIssuer("")}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(opts, certtokentest.WithoutRefreshRotation())...)
			ask := func(change map[string]string) reply {
				d := f.draft()
				if len(opts) > 0 {
					d.claims["aud"] = f.srv.Issuer()
				}
				form := f.formOf(d)
				form.Del("scope")
				for name, value := range change {
					form.Set(name, value)
				}
				return f.post(form)
			}
			code := f.srv.AuthorizationCode(certtokentest.CodeRequest{
				ClientID: clientID, User: "u@contoso.com", Scopes: []string{"https://graph.microsoft.com/User.Read",
					"offline_access"},
			})
			r := ask(map[string]string{"grant_type": "authorization_code", "code": code})
			require.Equal(t, 200, r.status, r.text)
			refresh := r.body["refresh_token"].(string)
			for range 2 {
				r = ask(map[string]string{"grant_type": "refresh_token", "refresh_token": refresh})
				require.Equal(t, 200, r.status, r.text)
				assert.NotContains(t, r.body, "refresh_token")
			}
		})
	}
}

// RFC 8705's metadata, with a socket, and as a handler that is told so.
func TestMetadataOfCertificatesInTLS(t *testing.T) {
	plain := certtokentest.New(certtokentest.WithIssuer(""))
	behind := httptest.NewUnstartedServer(certtokentest.New(certtokentest.WithIssuer(""),
		certtokentest.WithClientCertificates()))
	behind.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	behind.StartTLS()
	defer behind.Close()
	own := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	for name, c := range map[string]struct {
		client *http.Client
		url    string
		want   bool
	}{
		"no socket":           {plain.Client(), plain.URL(), false},
		"a socket of its own": {own.Client(), own.URL(), true},
		"behind another":      {behind.Client(), behind.URL, true},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := c.client.Get(c.url + "/.well-known/oauth-authorization-server")
			require.NoError(t, err)
			defer resp.Body.Close()
			var meta map[string]any
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&meta))
			methods := meta["token_endpoint_auth_methods_supported"]
			if !c.want {
				assert.Equal(t, []any{"private_key_jwt"}, methods)
				assert.NotContains(t, meta, "mtls_endpoint_aliases")
				return
			}
			assert.Subset(t, methods, []any{"tls_client_auth", "self_signed_tls_client_auth"})
			assert.Equal(t, true, meta["tls_client_certificate_bound_access_tokens"])
			assert.Equal(t, map[string]any{"token_endpoint": c.url + "/mtls/token"}, meta["mtls_endpoint_aliases"])
		})
	}
}

func TestTLSNames(t *testing.T) {
	srv := certtokentest.NewServer(t, certtokentest.WithTLSNames("tokens.internal", "192.0.2.7"))
	conn, err := tls.Dial("tcp", strings.TrimPrefix(srv.URL(), "https://"), &tls.Config{RootCAs: srv.CertPool()})
	require.NoError(t, err, "loopback addresses are there in any case")
	defer conn.Close()
	leaf := conn.ConnectionState().PeerCertificates[0]
	for _, name := range []string{"tokens.internal", "192.0.2.7", "localhost", "127.0.0.1", "::1"} {
		assert.NoError(t, leaf.VerifyHostname(name))
	}
	assert.Error(t, leaf.VerifyHostname("other.internal"))
	_, err = certtokentest.Start(certtokentest.WithTLSNames(""))
	assert.ErrorContains(t, err, "empty")
}

func TestTLSFailures(t *testing.T) {
	var mu sync.Mutex
	failures := map[string]string{}
	srv := certtokentest.NewServer(t, certtokentest.WithTLSFailures(func(remote string, err error) {
		mu.Lock()
		defer mu.Unlock()
		failures[remote] = err.Error()
	}))
	address := strings.TrimPrefix(srv.URL(), "https://")
	raw, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer raw.Close()
	require.Error(t, tls.Client(raw, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}).Handshake())
	until(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(failures[raw.LocalAddr().String()], "bad certificate")
	})
}

func TestConnections(t *testing.T) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t, certtokentest.WithOpaqueTokens())
	f.srv.Register(clientID, f.cert.Leaf)
	opened, peak := f.srv.Connections()
	assert.Zero(t, opened+peak)
	address := strings.TrimPrefix(f.srv.URL(), "https://")
	one, err := tls.Dial("tcp", address, &tls.Config{RootCAs: f.srv.CertPool()})
	require.NoError(t, err)
	defer one.Close()
	answers := bufio.NewReader(one)
	for range 3 { // an http.Client makes another connection when it likes
		req := tokenRequest(t, f.srv.TokenURL(), f.form())
		require.NoError(t, req.Write(one))
		resp, err := http.ReadResponse(answers, req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 200, resp.StatusCode)
	}
	opened, peak = f.srv.Connections()
	assert.Equal(t, []int{1, 1}, []int{opened, peak})
	for range 2 {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
	}
	until(t, func() bool {
		opened, peak = f.srv.Connections()
		return opened == 3 && peak == 3
	})
	opened, peak = certtokentest.New().Connections()
	assert.Zero(t, opened+peak)
}
