package certtokentest_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shown is a request with another grant.
func (f *fixture) shown(values url.Values) reply {
	f.t.Helper()
	form := f.form()
	form.Del("scope")
	for name, v := range values {
		form[name] = v
	}
	return f.post(form)
}

func TestGrantsAreChecked(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		obo := func(assertion string) url.Values {
			return url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion},
				"requested_token_use": {"on_behalf_of"}, "scope": {"https://graph.microsoft.com/User.Read openid"},
			}
		}
		good := f.srv.UserToken("ada", clientID)
		r := f.shown(obo(good))
		require.Equal(t, 200, r.status, r.text)
		assert.Equal(t, "https://graph.microsoft.com/User.Read", r.body["scope"])
		assert.NotEmpty(t, r.body["id_token"])
		assert.Nil(t, r.body["refresh_token"])

		assert.Equal(t, 500131, f.shown(obo(f.srv.UserToken("ada", "other"))).code())
		assert.Equal(t, 50013, f.shown(obo(good+"x")).code())
		without := obo(good)
		without.Del("requested_token_use")
		assert.Equal(t, 900144, f.shown(without).code())
		f.srv.Revoke(good)
		assert.Equal(t, 50013, f.shown(obo(good)).code())

		f.srv.Handle("graph.microsoft.com/", f.srv.Resource("https://graph.microsoft.com", nil))
		code := url.Values{"grant_type": {"authorization_code"},
			"code": {f.srv.AuthorizationCode(certtokentest.CodeRequest{
				ClientID: clientID, User: "ada", Scopes: []string{"https://graph.microsoft.com/User.Read",
					"offline_access"},
			})}}
		first := f.shown(code)
		require.Equal(t, 200, first.status, first.text)
		call := func() reply {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.microsoft.com/me", nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+first.token())
			r, err := f.do(req)
			require.NoError(t, err)
			return r
		}
		assert.Equal(t, "ada", call().body["user"])
		assert.Equal(t, 54005, f.shown(code).code())
		assert.Equal(t, 401, call().status, "a code that comes again takes back what was given for it")

		refresh, _ := first.body["refresh_token"].(string)
		again := f.shown(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
		require.Equal(t, 200, again.status, again.text)
		assert.Equal(t, 70000, f.shown(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}).code())
		late := url.Values{"grant_type": {"authorization_code"},
			"code": {f.srv.AuthorizationCode(certtokentest.CodeRequest{ClientID: clientID})}}
		f.srv.SetClockOffset(time.Minute) // within the assertion's life
		assert.Equal(t, 70011,
			f.shown(url.Values{"grant_type": late["grant_type"], "code": late["code"], "scope": {"x/y"}}).code())
	})
}

// A certificate in the handshake is proof by itself, and binds the token.
func TestTLSClientCertificates(t *testing.T) {
	t.Run("generic", func(t *testing.T) {
		testTLSClient(t, "read", "", "Bearer", certtokentest.WithIssuer(""))
	})
	t.Run("Entra ID", func(t *testing.T) {
		f, over := testTLSClient(t, graphScope, "mtls_pop", "mtls_pop")
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {graphScope}}
		resp, err := over.PostForm(f.srv.TokenURL(), form)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, 7000218, f.srv.LastRequest().Code, "a Bearer token for the connection alone")
	})
}

// testTLSClient asks a server as a client with a certificate does, for tokens of a
// type, and returns the client.
func testTLSClient(t *testing.T, scope, tokenType, scheme string, opts ...certtokentest.Option) (*fixture,
	*http.Client) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t, opts...)
	f.srv.Register(clientID, f.cert.Leaf)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {scope}}
	if tokenType != "" {
		form.Set("token_type", tokenType)
	}
	f.srv.Handle("graph.microsoft.com/", f.srv.Resource(strings.TrimSuffix(scope, "/.default"), nil))
	stranger := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("stranger"))
	expired := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
		certtokentest.WithValidity(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))
	f.srv.Register(clientID, expired.Leaf)

	over := func(certs ...tls.Certificate) *http.Client {
		transport := f.srv.Transport().(*http.Transport).Clone()
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &append(certs, tls.Certificate{})[0], nil
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	own := tls.Certificate{Certificate: [][]byte{f.cert.Leaf.Raw}, PrivateKey: f.cert.Signer}
	ask := func(hc *http.Client) int {
		resp, err := hc.PostForm(f.srv.TokenURL(), form)
		require.NoError(t, err)
		resp.Body.Close()
		return f.srv.LastRequest().Code
	}
	assert.Equal(t, 7000218, ask(over()), "no certificate, no assertion")
	assert.Equal(t, 700027,
		ask(over(tls.Certificate{Certificate: [][]byte{stranger.Leaf.Raw}, PrivateKey: stranger.Signer})))
	assert.Equal(t, 1000502,
		ask(over(tls.Certificate{Certificate: [][]byte{expired.Leaf.Raw}, PrivateKey: expired.Signer})))
	require.Zero(t, ask(over(own)))
	last := f.srv.LastRequest()
	assert.True(t, f.cert.Leaf.Equal(last.TLSCertificate))
	assert.True(t, f.cert.Leaf.Equal(last.Certificate))

	call := func(hc *http.Client, scheme string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.microsoft.com/me", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", scheme+" "+last.AccessToken)
		resp, err := hc.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	otherScheme := map[string]string{"Bearer": "mtls_pop", "mtls_pop": "Bearer"}[scheme]
	assert.Equal(t, 200, call(over(own), scheme))
	assert.Equal(t, 401, call(over(), scheme))
	assert.Equal(t, 401,
		call(over(tls.Certificate{Certificate: [][]byte{stranger.Leaf.Raw}, PrivateKey: stranger.Signer}), scheme))
	assert.Equal(t, 401, call(over(own), otherScheme))
	return f, over(own)
}
