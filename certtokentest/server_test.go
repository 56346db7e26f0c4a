package certtokentest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A client of somebody else's, that only knows the address and the CA.
func TestStrangerOverTLS(t *testing.T) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t)
	f.srv.Register(clientID, f.cert.Leaf)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(f.srv.CAPEM()))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	stranger := &http.Client{Transport: transport}

	resp, err := stranger.PostForm(f.srv.TokenURL(), f.form())
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, f.srv.URL())
	assert.Contains(t, string(body), `"access_token":"`)

	untrusting := &http.Client{Transport: &http.Transport{}}
	_, err = untrusting.Get(f.srv.URL())
	var unknown *tls.CertificateVerificationError
	assert.ErrorAs(t, err, &unknown)
}

func TestEveryHostIsTheServer(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		for _, host := range []string{"login.microsoftonline.com", "api.contoso.com", "localhost", "a.b.c.internal"} {
			assert.Equal(t, http.StatusOK, f.get("https://"+host+"/.well-known/openid-configuration").status, host)
		}
	})
}

func TestServerBehindAnother(t *testing.T) {
	f := newFixture(t)
	f.srv.Handle("outer.example/{rest...}", certtokentest.New())
	resp, err := f.srv.Client().PostForm("https://outer.example/contoso.com/oauth2/v2.0/token", f.form())
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode, "the client isn't registered there")
	assert.Zero(t, f.srv.Count())
	assert.Equal(t, 1, f.srv.CountAll())
}

func TestCloseTwiceAndUseAfterwards(t *testing.T) {
	started, err := certtokentest.Start()
	require.NoError(t, err)
	for name, srv := range map[string]*certtokentest.Server{"TLS": started, "socketless": certtokentest.New()} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.srv = srv
			srv.Register(clientID, f.cert.Leaf)
			require.Equal(t, http.StatusOK, f.post(f.form()).status)
			srv.Close()
			srv.Close()
			_, err := f.tryPost(f.form())
			assert.Error(t, err)
		})
	}
}

func TestMistakesInOptions(t *testing.T) {
	opts := []certtokentest.Option{
		certtokentest.WithTenants("common/"), certtokentest.WithIssuer("http://x"), certtokentest.WithAlgorithms("XX"),
		certtokentest.WithTokenSize(-1), certtokentest.WithRequestLimit(0), certtokentest.WithLeeway(-1), nil,
	}
	_, err := certtokentest.Start(opts...)
	require.Error(t, err)
	for _, part := range []string{"tenant", "issuer", "algorithm", "token size", "request limit", "leeway"} {
		assert.ErrorContains(t, err, part)
	}
	assert.Panics(t, func() { certtokentest.New(opts...) })
}

func TestNames(t *testing.T) {
	tests := []struct {
		name                  string
		srv                   *certtokentest.Server
		url, issuer, tokenURL string
	}{
		{"Entra", certtokentest.New(),
			"https://login.microsoftonline.com",
			"https://login.microsoftonline.com/e1902b87-0b81-8314-abfb-72d35bc126d7/v2.0",
			"https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"},
		{"tenants", certtokentest.New(certtokentest.WithTenants("a.com", "b.com")),
			"https://login.microsoftonline.com",
			"https://login.microsoftonline.com/c18ddc74-a5bf-879d-82bb-8b115bcb862d/v2.0",
			"https://login.microsoftonline.com/a.com/oauth2/v2.0/token"},
		{"generic", certtokentest.New(certtokentest.WithIssuer("")),
			"https://issuer.example", "https://issuer.example", "https://issuer.example/token"},
		{"generic with a path", certtokentest.New(certtokentest.WithIssuer("https://id.example.com/a/b/")),
			"https://id.example.com", "https://id.example.com/a/b", "https://id.example.com/a/b/token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.url, tt.srv.URL())
			assert.Equal(t, tt.issuer, tt.srv.Issuer())
			assert.Equal(t, tt.tokenURL, tt.srv.TokenURL())
			assert.Empty(t, tt.srv.CAPEM())
		})
	}
}

func TestTenantsThroughOneClient(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		client := f.client(certtoken.Entra("a.com"), certtoken.WithTenants("b.com", "c.com"))
		for _, tenant := range []string{"", "b.com", "c.com"} {
			_, err := client.Acquire(t.Context(), certtoken.Request{Tenant: tenant, Scopes: []string{graphScope}})
			if tenant == "c.com" {
				assert.ErrorContains(t, err, "AADSTS90002")
				continue
			}
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"a.com", "b.com", "c.com"}, tenantsOf(f.srv))
	}, certtokentest.WithTenants("a.com", "b.com"))
}

func tenantsOf(srv *certtokentest.Server) (list []string) {
	for _, r := range srv.Requests() {
		list = append(list, r.Tenant)
	}
	return list
}

func TestRequestsAreRecorded(t *testing.T) {
	began := time.Now()
	f := newFixture(t, certtokentest.WithRequestLimit(3))
	assert.Equal(t, certtokentest.Request{}, f.srv.LastRequest())
	for i := range 5 {
		form := f.form()
		form.Set("scope", fmt.Sprintf("api://%d/.default", i))
		assert.Equal(t, http.StatusOK, f.post(form).status)
	}
	form := f.form()
	form.Del("scope")
	f.post(form)
	f.get(f.srv.Issuer() + "/.well-known/openid-configuration")
	assert.Equal(t, 6, f.srv.Count())
	assert.Equal(t, 5, f.srv.CountGranted())
	assert.Equal(t, 7, f.srv.CountAll())

	list := f.srv.Requests()
	require.Len(t, list, 3)
	first, last := list[0], list[2]
	assert.Equal(t, "api://3/.default", first.Scope)
	assert.True(t, first.Done)
	assert.Equal(t, 200, first.Status)
	assert.NotEmpty(t, first.AccessToken)
	assert.Equal(t, "POST", first.Method)
	assert.Equal(t, "login.microsoftonline.com", first.Host)
	assert.Equal(t, "/contoso.onmicrosoft.com/oauth2/v2.0/token", first.Path)
	assert.Equal(t, f.srv.TokenURL(), first.URL)
	assert.Equal(t, f.srv.TokenURL(), first.AssertionClaims["aud"])
	assert.Equal(t, "PS256", first.AssertionHeader["alg"])
	assert.Equal(t, first.Assertion, first.Form.Get("client_assertion"))
	assert.True(t, f.cert.Leaf.Equal(first.Certificate))
	isFromNow(t, began, 0, first.Time)
	assert.Equal(t, "invalid_request", last.Error)
	assert.Equal(t, 900144, last.Code)
	assert.Contains(t, last.Description, "scope")
	assert.Empty(t, last.AccessToken)

	f.srv.Reset()
	assert.Zero(t, f.srv.Count()+f.srv.CountAll()+f.srv.CountGranted())
	assert.Empty(t, f.srv.Requests())
	f.post(f.form())
	assert.Len(t, f.srv.Requests(), 1)
}

func TestRequestInProgressCounts(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		f.srv.Fail(certtokentest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		req := tokenRequest(t, f.srv.TokenURL(), f.form()).WithContext(ctx)
		go func() {
			defer close(done)
			_, err := f.do(req)
			assert.ErrorIs(t, err, context.Canceled)
		}()
		until(t, func() bool { return f.srv.Count() == 1 })
		cancel()
		<-done
	})
}

func TestManyAtOnce(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		const callers, rounds = 8, 10
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range rounds {
					f.srv.Register(fmt.Sprintf("client-%d", i), f.cert.Leaf)
					f.srv.SetLifetime(time.Duration(i+1) * time.Minute)
					r, err := f.tryPost(f.form())
					if assert.NoError(t, err) {
						assert.Equal(t, http.StatusOK, r.status, r.text)
					}
					_ = f.srv.Requests()
				}
			})
		}
		wg.Wait()
		assert.Equal(t, callers*rounds, f.srv.CountGranted())
	}, certtokentest.WithOpaqueTokens())
}

func TestDiscovery(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		for _, path := range []string{
			"/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration",
			"/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server",
		} {
			r := f.get(f.srv.URL() + path)
			require.Equal(t, http.StatusOK, r.status, path)
			assert.Equal(t, f.srv.Issuer(), r.body["issuer"])
			assert.Equal(t, f.srv.TokenURL(), r.body["token_endpoint"])
			assert.Contains(t, f.get(r.body["jwks_uri"].(string)).text, `"kty":"RSA"`)
		}
		v1 := f.get(f.srv.URL() + "/contoso.onmicrosoft.com/.well-known/openid-configuration")
		assert.Regexp(t, `^https://sts\.windows\.net/[0-9a-f-]{36}/$`, v1.body["issuer"])
		assert.Equal(t, f.srv.URL()+"/contoso.onmicrosoft.com/oauth2/token", v1.body["token_endpoint"])
		assert.Contains(t, f.get(v1.body["jwks_uri"].(string)).text, `"kty":"RSA"`)
		r := f.get(f.srv.URL() + "/common/v2.0/.well-known/openid-configuration")
		assert.Equal(t, f.srv.URL()+"/{tenantid}/v2.0", r.body["issuer"])
		assert.Equal(t, f.srv.Issuer(), f.get(f.srv.Issuer() + "/.well-known/openid-configuration").body["issuer"],
			"a tenant's GUID is a name of it")
		assert.Equal(t, 90002, f.get(f.srv.URL()+"/fabrikam.com/v2.0/.well-known/openid-configuration").code())

		r = f.get(f.srv.URL() + "/common/discovery/instance?api-version=1.1&authorization_endpoint=" +
			"https%3A%2F%2Flogin.example.com%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize")
		assert.Equal(t, "https://login.example.com/contoso.com/v2.0/.well-known/openid-configuration",
			r.body["tenant_discovery_endpoint"])
		assert.Contains(t, r.text, `"aliases":["login.example.com"]`)
		assert.Equal(t, http.StatusBadRequest, f.get(f.srv.URL()+"/common/discovery/instance").status)
		assert.Zero(t, f.srv.Count(), "none of them is a token request")
	}, certtokentest.WithTenants(certtokentest.DefaultTenant))
}

func TestGenericDiscovery(t *testing.T) {
	for issuer, places := range map[string][]string{
		"https://id.example.com": {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"},
		"https://id.example.com/r/x": {"/r/x/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server/r/x"},
	} {
		f := newFixture(t, certtokentest.WithIssuer(issuer))
		for _, place := range places {
			r := f.get("https://id.example.com" + place)
			require.Equal(t, http.StatusOK, r.status, place)
			assert.Equal(t, issuer, r.body["issuer"])
			assert.Equal(t, issuer+"/token", r.body["token_endpoint"])
			assert.Equal(t, []any{"private_key_jwt"}, r.body["token_endpoint_auth_methods_supported"])
			assert.Contains(t, f.get(r.body["jwks_uri"].(string)).text, `"kty":"RSA"`)
		}
		assert.Equal(t, http.StatusNotFound, f.get("https://id.example.com/contoso.com/oauth2/v2.0/token").status)
	}
}

func TestMountedHandler(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		f.srv.Handle("POST api.example.com/echo/{name}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Host, r.PathValue("name"), body)
		}))
		resp, err := f.srv.Client().Post("https://api.example.com/echo/a%20b?x=1", "text/plain",
			strings.NewReader("hello"))
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "api.example.com a b hello", string(body))
		assert.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
		assert.Equal(t, http.StatusOK, f.post(f.form()).status, "the server's own paths remain")
	})
}
