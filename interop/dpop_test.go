package interop

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// TestDPoPOfOIDCProvider gets tokens of oidc-provider, which wants a nonce in each proof, and
// calls an API by oauth4webapi with them.
func TestDPoPOfOIDCProvider(t *testing.T) {
	lacks(t, lacksNode(), "oidc-provider can't be asked")
	j := oidcProvider(t, "dpop")
	cert := newCertificate(t, "dpop")
	j.register(t, registration{id: "dpop", keys: []key{keyOf(cert)}})
	authority, err := discover(t.Context(), j.issuer,
		certtoken.WithDiscoveryClient(j.http), certtoken.WithDPoP())
	require.NoError(t, err)
	wire := &wire{next: j.http.Transport}
	client, err := certtoken.NewClient(authority, "dpop", cert,
		certtoken.WithHTTPClient(&http.Client{Transport: wire}), patient)
	require.NoError(t, err)
	defer client.Close()
	token, err := client.Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, "DPoP", token.Type())
	assert.Len(t, wire.assertions(), 2, "the first was told the nonce")
	_, err = client.Token(t.Context(), otherScope)
	require.NoError(t, err)
	assert.Len(t, wire.assertions(), 3, "the nonce is remembered")

	api := newNodeResource(t, j)
	assert.Equal(t, http.StatusOK, api.get(t, client.Transport(api.server.Client().Transport, scope), "/things?page=1"))
	_, jkt := token.Confirmation()
	assert.Equal(t, jkt, api.last().Token)
	alone := func(header http.Header) http.RoundTripper {
		return withHeader{api.server.Client().Transport, header}
	}
	assert.Equal(t, http.StatusUnauthorized,
		api.get(t, alone(http.Header{"Authorization": {"DPoP " + token.AccessToken()}}), "/"))
	proof, err := client.Proof(token, http.MethodGet, api.server.URL+"/other")
	require.NoError(t, err)
	with := http.Header{"Authorization": {"DPoP " + token.AccessToken()}, "Dpop": {proof}}
	assert.Equal(t, http.StatusUnauthorized, api.get(t, alone(with), "/"), "a proof for another URL")
	assert.Equal(t, http.StatusOK, api.get(t, alone(with), "/other"))

	plain, err := certtoken.NewClient(j.authority(j.best()), "dpop", cert, certtoken.WithHTTPClient(j.http), patient)
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Token(t.Context(), scope)
	assert.ErrorContains(t, err, "WithDPoP", "the client is registered for DPoP")
}

// nodeResource is an API whose requests oauth4webapi judges.
type nodeResource struct {
	server *httptest.Server

	mu     sync.Mutex
	result result
}

func newNodeResource(t *testing.T, j *judge) *nodeResource {
	t.Helper()
	s := &stage{T: t, library: &library{name: "oauth4webapi"}, server: certtokentest.NewServer(t)}
	judge := node("oauth4webapi_resource.mjs")(s).(*inFolder)
	resp, err := j.http.Get(j.issuer + "/jwks")
	require.NoError(t, err)
	defer resp.Body.Close()
	keys, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Empty(t, judge.ask(t, map[string]any{
		"op": "setup", "issuer": j.issuer, "audience": "https://api.example", "jwks": json.RawMessage(keys),
	}).Error)
	r := new(nodeResource)
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.result = judge.ask(t, map[string]any{
			"op": "check", "method": req.Method, "url": "https://" + req.Host + req.URL.RequestURI(),
			"authorization": req.Header.Get("Authorization"), "dpop": req.Header.Get("DPoP"),
		})
		if r.result.Error != "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *nodeResource) last() result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

func (r *nodeResource) get(t *testing.T, over http.RoundTripper, path string) int {
	t.Helper()
	resp, err := (&http.Client{Transport: over}).Get(r.server.URL + path)
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Logf("oauth4webapi says: %s", r.last().Error)
	}
	return resp.StatusCode
}

// withHeader sends requests with a header that the test wrote.
type withHeader struct {
	next   http.RoundTripper
	header http.Header
}

func (w withHeader) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(context.WithoutCancel(req.Context()))
	req.Header = w.header.Clone()
	return w.next.RoundTrip(req)
}

// TestDPoPOfKeycloak gets tokens of Keycloak, which knows no nonces, and calls its own API
// with them.
func TestDPoPOfKeycloak(t *testing.T) {
	k := startedKeycloak(t)
	cert := newCertificate(t, "dpop")
	k.register(t, "dpop", "client-jwt", map[string]string{
		"jwt.credential.certificate": derBase64(cert), "dpop.bound.access.tokens": "true",
	})
	hc := k.tls.client(t)
	authority, err := discover(t.Context(), k.issuer(),
		certtoken.WithDiscoveryClient(hc), certtoken.WithDPoP())
	require.NoError(t, err)
	client, err := certtoken.NewClient(authority, "dpop", cert, certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer client.Close()
	var token *certtoken.Token
	require.NoError(t, promptly(t, func() (err error) {
		token, err = client.Token(t.Context(), "openid")
		return err
	}))
	assert.Equal(t, "DPoP", token.Type())

	userinfo := k.issuer() + "/protocol/openid-connect/userinfo"
	get := func(over http.RoundTripper) (int, string) {
		resp, err := (&http.Client{Transport: over}).Get(userinfo)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body) + strings.Join(resp.Header.Values("WWW-Authenticate"), ", ")
	}
	for range 2 {
		assert.NoError(t, promptly(t, func() error { // a proof is good for a moment
			status, said := get(client.Transport(hc.Transport, "openid"))
			if status != http.StatusOK {
				return errors.New(said)
			}
			return nil
		}))
	}
	status, said := get(withHeader{hc.Transport, http.Header{"Authorization": {"Bearer " + token.AccessToken()}}})
	assert.NotEqual(t, http.StatusOK, status, said)

	plain, err := certtoken.NewClient(certtoken.Issuer(k.issuer(), k.tokenURL()), "dpop", cert,
		certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Token(t.Context(), "openid")
	assert.Error(t, err, "the client is registered for DPoP")
}

// TestDPoPOfOpenIDClient lets openid-client get a token of certtokentest and call its API,
// with nonces demanded by both and by neither.
func TestDPoPOfOpenIDClient(t *testing.T) {
	for name, rules := range map[string]certtokentest.DPoPRules{
		"nonces": {Required: true, Nonces: true, ResourceNonces: true}, "no nonces": {Required: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stage{T: t, library: &library{
				name: "openid-client", generic: true, setup: setup{Alg: "PS256", Header: "x5t#S256"},
			}, server: certtokentest.NewServer(t, certtokentest.WithIssuer(""), certtokentest.WithLooseAudience(),
				certtokentest.WithDPoP(rules))}
			api := s.server.Resource(scope, nil)
			s.server.Handle("/things", api)
			s.user = node("openid_client.mjs")(s)
			s.newClient("app", "client", "client")
			got := s.user.do(t, job{Op: "dpop", Scope: scope, URL: s.server.URL() + "/things"})
			require.Empty(t, got.Error)
			assert.Equal(t, s.server.LastRequest().AccessToken, got.Token)
			allowed, refused := api.Counts()
			assert.Equal(t, 1, allowed)
			assert.Equal(t, map[bool]int{true: 1}[rules.ResourceNonces], refused)
		})
	}
}
