package certtoken_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	appID = "5f1b7c7e-0000-4000-8000-000000000001"
	graph = "https://graph.microsoft.com/.default"
	vault = "https://vault.azure.net/.default"
)

// rig is a client with its endpoint. In a synctest bubble no time passes but that which a
// call waits, so tests measure exactly how long it waited.
type rig struct {
	server *certtokentest.Server
	cert   *certtoken.Certificate
	client *certtoken.Client

	mu     sync.Mutex
	misses map[string]int // by first scope
}

// newRig joins a client to a server without a socket that grants for an hour.
func newRig(t testing.TB, opts ...certtoken.Option) *rig {
	t.Helper()
	return newRigOf(t, nil, nil, opts...)
}

// newRigOf takes a server and a source where they aren't nil.
func newRigOf(t testing.TB, server *certtokentest.Server, source certtoken.CertSource, opts ...certtoken.Option) *rig {
	t.Helper()
	if server == nil {
		server = certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour))
	}
	r := &rig{
		server: server,
		cert:   certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
		misses: make(map[string]int),
	}
	server.Register(appID, r.cert.Leaf)
	if source == nil {
		source = r.cert
	}
	opts = append([]certtoken.Option{
		certtoken.WithHTTPClient(server.Client()),
		certtoken.WithHooks(certtoken.Hooks{Miss: r.missed}),
	}, opts...)
	client, err := certtoken.NewClient(server.Authority(), appID, source, opts...)
	require.NoError(t, err)
	r.client = client
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return r
}

// token gets a token and fails the test otherwise.
func (r *rig) token(t testing.TB, scopes ...string) *certtoken.Token {
	t.Helper()
	tok, err := r.client.Token(t.Context(), scopes...)
	require.NoError(t, err)
	return tok
}

func (r *rig) missed(e certtoken.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.misses[strings.Join(e.Scopes[:min(1, len(e.Scopes))], "")]++
}

func (r *rig) missesOf(scope string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.misses[scope]
}

// hit gets a token that must be there already: in a bubble no time may pass.
func (r *rig) hit(t testing.TB, scopes ...string) *certtoken.Token {
	t.Helper()
	start, misses := time.Now(), r.missesOf(scopes[0])
	tok := r.token(t, scopes...)
	require.Zero(t, time.Since(start), "a caller waited")
	require.Equal(t, misses, r.missesOf(scopes[0]), "no valid token was there")
	return tok
}

// bubble runs a test in a bubble, where time is free.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// stub is an endpoint that grants everything and looks at nothing, for tests of
// very many requests.
type stub struct {
	requests atomic.Int64
	size     int // of a token
	life     int // in seconds
}

func (s *stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	n := s.requests.Add(1)
	token := fmt.Sprintf("%08d", n)
	token = strings.Repeat("0", max(s.size-len(token), 0)) + token
	body := fmt.Sprintf(
		`{"access_token":"%s","token_type":"Bearer","expires_in":%d,"ext_expires_in":%d}`,
		token,
		s.life,
		s.life,
	)
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/json"},
		}, Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

// freeSigner signs with zeros, which costs nothing.
type freeSigner struct{ public *rsa.PublicKey }

func (s freeSigner) Public() crypto.PublicKey { return s.public }
func (s freeSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, s.public.Size()), nil
}

// newStubClient joins a client to a stub.
func newStubClient(t testing.TB, endpoint http.RoundTripper, opts ...certtoken.Option) *certtoken.Client {
	t.Helper()
	opts = append([]certtoken.Option{certtoken.WithHTTPClient(&http.Client{Transport: endpoint})}, opts...)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, freeCertificate(t), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// freeCertificate is one whose signatures cost nothing, for endpoints that don't verify them.
func freeCertificate(t testing.TB, opts ...certtokentest.CertOption) *certtoken.Certificate {
	t.Helper()
	real := certtokentest.NewCertificate(t, append(opts, certtokentest.WithSharedKey())...)
	cert, err := certtoken.NewCertificate(freeSigner{real.Signer.Public().(*rsa.PublicKey)}, real.Leaf, nil)
	require.NoError(t, err)
	return cert
}

func scopeOf(n int) string { return fmt.Sprintf("api://app-%06d/.default", n) }

func TestTokenSaysWhatWasGranted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		tok := r.token(t, graph)
		sent := r.server.LastRequest()
		assert.Equal(t, sent.AccessToken, tok.AccessToken())
		assert.Equal(t, "Bearer", tok.Type())
		assert.Equal(t, []string{graph}, tok.Scopes())
		assert.True(t, tok.ExpiresAt().Equal(start.Add(time.Hour)), "%v", tok.ExpiresAt())
		assert.True(t, tok.RenewAt().After(start.Add(40*time.Minute)), "%v", tok.RenewAt())
		assert.EqualValues(t, 3600, tok.Extra("ext_expires_in"))
		assert.Nil(t, tok.Extra("access_token"))
		assert.Nil(t, tok.Extra("nothing"))
		scopes := tok.Scopes()
		scopes[0] = "changed"
		assert.Equal(t, []string{graph}, tok.Scopes(), "a caller could change the token")
	})
}

func TestGrantedScopesMayBeFewer(t *testing.T) {
	server := certtokentest.New(
		certtokentest.WithIssuer("https://as.example.com"),
		certtokentest.WithOpaqueTokens(),
		certtokentest.WithGrantedScope("read"),
	)
	r := newRigOf(t, server, nil)
	tok := r.token(t, "read", "write")
	assert.Equal(t, []string{"read"}, tok.Scopes())
	assert.Same(t, tok, r.token(t, "write", "read"), "it is cached by what was asked for")
}

// One key has many spellings.
func TestScopesInAnyOrderAreOneToken(t *testing.T) {
	server := certtokentest.New(certtokentest.WithIssuer("https://as.example.com"), certtokentest.WithOpaqueTokens())
	r := newRigOf(t, server, nil)
	want := r.token(t, "a", "b", "c")
	for _, scopes := range [][]string{
		{"a", "b", "c"}, {"c", "b", "a"}, {"b", "c", "a"},
		{"a", "b", "c", "a"}, {"a", "a", "b", "b", "c", "c"},
		{"a b c"}, {"c a", "b"}, {"  c\ta ", "", "b"}, {"a b", "b c"},
	} {
		assert.Same(t, want, r.token(t, scopes...), "%q", scopes)
		got, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: scopes})
		require.NoError(t, err)
		assert.Same(t, want, got, "%q", scopes)
	}
	assert.Equal(t, 1, r.server.Count())
	assert.Equal(t, "a b c", r.server.LastRequest().Scope, "the order of the first is sent")

	for _, scopes := range [][]string{{"a", "b"}, {"a", "b", "d"}, {"a", "b", "c", "d"}, {"a", "a", "b"}, {"ab", "c"},
		nil} {
		assert.NotSame(t, want, r.token(t, scopes...), "%q", scopes)
	}
	assert.Equal(t, 1+5, r.server.Count(), "a a b is a b")
}

func TestManyScopesInOneRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(
			certtokentest.WithIssuer("https://as.example.com"),
			certtokentest.WithOpaqueTokens(),
			certtokentest.WithTokenLifetime(time.Hour),
		)
		r := newRigOf(t, server, nil)
		var scopes []string
		for i := range 40 {
			scopes = append(scopes, fmt.Sprintf("scope-%d", i))
		}
		first := r.token(t, scopes...)
		slices.Reverse(scopes)
		assert.Same(t, first, r.token(t, scopes...))
		time.Sleep(55 * time.Minute) // past any renewal time
		assert.Same(t, first, r.hit(t, scopes...))
		synctest.Wait()
		assert.Equal(t, 2, r.server.Count(), "a hit starts the renewal, also with very many scopes")
		assert.NotSame(t, first, r.hit(t, scopes...))
	})
}

func TestTenants(t *testing.T) {
	const other, guid = "fabrikam.com", "11111111-2222-3333-4444-555555555555"
	r := newRig(t, certtoken.WithTenants(other, guid))
	acquire := func(tenant string) (*certtoken.Token, error) {
		return r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
	}
	home := r.token(t, graph)
	same, err := acquire(certtokentest.DefaultTenant)
	require.NoError(t, err)
	assert.Same(t, home, same, "the authority's own tenant by name")

	foreign, err := acquire(other)
	require.NoError(t, err)
	assert.NotEqual(t, home.AccessToken(), foreign.AccessToken())
	last := r.server.LastRequest()
	assert.Equal(t, other, last.Tenant)
	assert.Equal(t, last.URL, last.AssertionClaims["aud"], "each tenant's endpoint is its audience")
	again, err := acquire(other)
	require.NoError(t, err)
	assert.Same(t, foreign, again)
	assert.Same(t, home, r.token(t, graph))
	_, err = acquire(guid)
	require.NoError(t, err)
	assert.Equal(t, 3, r.server.Count())

	for _, tenant := range []string{"evil.com", "common", "../" + other, other + "/x", "organizations", other + "?x=",
		" ", "FABRIKAM.COM/"} {
		_, err := acquire(tenant)
		assert.ErrorContains(t, err, "tenant", "%q", tenant)
	}
	_, err = acquire("72f988bf-86f1-41af-91ab-2d7cd011db47")
	require.ErrorContains(t, err, `if it is "`+certtokentest.DefaultTenant+`" by its other name`)
	_, err = acquire("evil.com")
	require.NotContains(t, err.Error(), "other name", "two domains are two tenants, as far as anybody can see")
	assert.Equal(t, 3, r.server.Count(), "a refused tenant is never asked for")
}

func TestAnyTenant(t *testing.T) {
	r := newRig(t, certtoken.WithTenants("*"))
	for _, tenant := range []string{"fabrikam.com", "11111111-2222-3333-4444-555555555555"} {
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
		require.NoError(t, err)
	}
	for _, tenant := range []string{"common", "organizations", "consumers", "..", "a/b", "a.com/../b.com",
		"x", "a.com#",
		"%2e%2e", "a.com\n", strings.Repeat("a.", 200) + "com"} {
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
		assert.ErrorContains(t, err, "tenant", "%q", tenant)
	}
	assert.Equal(t, 2, r.server.Count())
}

func TestInvalidRequests(t *testing.T) {
	r := newRig(t)
	scopes := []string{graph}
	many := make([]string, 300)
	for i := range many {
		many[i] = scopeOf(i)
	}
	for name, c := range map[string]struct {
		req  certtoken.Request
		want string
	}{
		"no scope":          {certtoken.Request{}, "scope"},
		"two resources":     {certtoken.Request{Scopes: []string{graph, vault}}, "are two resources"},
		"blank scope":       {certtoken.Request{Scopes: []string{" "}}, "scope"},
		"quote":             {certtoken.Request{Scopes: []string{`a"b`}}, "scope"},
		"backslash":         {certtoken.Request{Scopes: []string{`a\b`}}, "scope"},
		"control character": {certtoken.Request{Scopes: []string{"a\x00b"}}, "scope"},
		"not ASCII":         {certtoken.Request{Scopes: []string{"ä/.default"}}, "scope"},
		"too many":          {certtoken.Request{Scopes: many}, "scopes"},
		"too long":          {certtoken.Request{Scopes: []string{strings.Repeat("x", 20<<10)}}, "bytes"},
		"claims: no JSON":   {certtoken.Request{Scopes: scopes, Claims: "{"}, "claims"},
		"claims: array":     {certtoken.Request{Scopes: scopes, Claims: "[]"}, "claims"},
		"claims: null":      {certtoken.Request{Scopes: scopes, Claims: "null"}, "claims"},
		"claims: too long": {
			certtoken.Request{Scopes: scopes, Claims: `{"a":"` + strings.Repeat("x", 20<<10) + `"}`}, "claims",
		},
		"foreign tenant": {certtoken.Request{Scopes: scopes, Tenant: "evil.com"}, "WithTenants"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.client.Acquire(t.Context(), c.req)
			require.ErrorContains(t, err, c.want)
			assert.Less(t, len(err.Error()), 300, "an error repeats its input")
		})
	}
	assert.Zero(t, r.server.Count())
	assert.Zero(t, certtoken.CacheLen(r.client), "a request that can't be sent has no place in the cache")
}

func TestOptionMistakes(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	for name, c := range map[string]struct {
		opt  certtoken.Option
		want string
	}{
		"http client":  {certtoken.WithHTTPClient(nil), "WithHTTPClient"},
		"user agent":   {certtoken.WithUserAgent("a\r\nb: c"), "WithUserAgent"},
		"tenant":       {certtoken.WithTenants("common"), "common"},
		"limit":        {certtoken.WithCacheLimit(0), "WithCacheLimit"},
		"logger":       {certtoken.WithLogger(nil), "WithLogger"},
		"keep warm":    {certtoken.WithKeepWarm(`a"b`), "scope"},
		"keep nothing": {certtoken.WithKeepWarm(), "scope"},
		"no exchanges": {certtoken.WithMaxConcurrentExchanges(0), "WithMaxConcurrentExchanges"},
		"no attempt":   {certtoken.WithRequestTimeouts(0, time.Second), "WithRequestTimeouts"},
		"short whole":  {certtoken.WithRequestTimeouts(2*time.Second, time.Second), "WithRequestTimeouts"},
		"no end":       {certtoken.WithRequestTimeouts(time.Second, 10*time.Minute+1), "WithRequestTimeouts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert, c.opt)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert, nil)
	require.NoError(t, err, "a nil option is none")
}

// Programs that trace put another RoundTripper there.
func TestNewClientWithAnotherDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	http.DefaultTransport = &stub{}
	t.Cleanup(func() { http.DefaultTransport = before })
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	require.NotPanics(t, func() {
		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	})
}

func TestFresh(t *testing.T) {
	r := newRig(t)
	old := r.token(t, graph)
	fresh, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
	require.NoError(t, err)
	assert.NotEqual(t, old.AccessToken(), fresh.AccessToken())
	assert.Same(t, fresh, r.token(t, graph), "it takes the place of the old one")
	assert.Equal(t, 2, r.server.Count())

	r.server.Fail(certtokentest.Fault{Code: 53003})
	_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
	require.Error(t, err)
	assert.Same(t, fresh, r.token(t, graph), "its failure takes nothing away")
}

// A failed request with Fresh doesn't make the client renew the cached token early.
func TestFailedFreshDoesntHurryTheRenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		for _, req := range []certtoken.Request{
			{Scopes: []string{graph}, Fresh: true},
			{Scopes: []string{graph}, Claims: `{"a":1}`},
			{Scopes: []string{graph}, MinValidity: 59 * time.Minute},
		} {
			time.Sleep(2 * time.Minute)
			r.server.Fail(certtokentest.Fault{Code: 53003})
			_, err := r.client.Acquire(t.Context(), req)
			require.Error(t, err)
		}
		for range 20 {
			time.Sleep(time.Minute)
			require.Same(t, first, r.hit(t, graph))
		}
		synctest.Wait()
		assert.Equal(t, 4, r.server.Count())
		time.Sleep(25 * time.Minute)
		r.hit(t, graph)
		synctest.Wait()
		assert.Equal(t, 5, r.server.Count(), "but it comes in its time")
	})
}

func TestClaims(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}`
	r := newRig(t)
	old := r.token(t, graph)
	tok, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Claims: claims})
	require.NoError(t, err)
	assert.NotEqual(t, old.AccessToken(), tok.AccessToken(), "claims go past the cache")
	assert.JSONEq(t, claims, r.server.LastRequest().Form.Get("claims"))
	assert.Same(t, tok, r.token(t, graph), "the token takes the place of the cached one")
	again, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Claims: claims})
	require.NoError(t, err)
	assert.NotSame(t, tok, again, "each time")
	assert.Equal(t, 3, r.server.Count())
	assert.Equal(t, 1, certtoken.CacheLen(r.client), "claims are no part of the key")
}

func TestClaimsAreMergedWithCapabilities(t *testing.T) {
	r := newRig(t, certtoken.WithCapabilities("cp1"))
	for name, c := range map[string]struct{ claims, want string }{
		"none": {"", `{"access_token":{"xms_cc":{"values":["cp1"]}}}`},
		"of the token": {
			`{"access_token":{"nbf":{"value":"1"}}}`,
			`{"access_token":{"nbf":{"value":"1"},"xms_cc":{"values":["cp1"]}}}`,
		},
		"of something else": {
			`{"id_token":{"a":null}}`, `{"id_token":{"a":null},"access_token":{"xms_cc":{"values":["cp1"]}}}`,
		},
		"null in its place": {`{"access_token":null}`, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`},
		"a large number": {
			`{"access_token":{"n":12345678901234567890}}`,
			`{"access_token":{"n":12345678901234567890,"xms_cc":{"values":["cp1"]}}}`,
		},
		"its own capability": {
			`{"access_token":{"xms_cc":{"values":["cp1"]}}}`, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.client.Acquire(
				t.Context(),
				certtoken.Request{Scopes: []string{graph}, Claims: c.claims, Fresh: true},
			)
			require.NoError(t, err)
			sent := r.server.LastRequest().Form.Get("claims")
			assert.JSONEq(t, c.want, sent)
			if strings.Contains(c.want, "12345678901234567890") {
				assert.Contains(t, sent, "12345678901234567890", "numbers keep their digits")
			}
		})
	}
	_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Claims: `{"access_token":7}`})
	require.ErrorContains(t, err, "claims")
}

// Claims that were refused for one caller don't fail the others.
func TestRefusedClaimsHurtNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			if req.Form.Get("claims") != "" {
				return &certtokentest.Fault{Code: 53003, Delay: 100 * time.Millisecond}
			}
			return nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Claims: `{"x":{}}`})
			assert.Error(t, err)
		})
		time.Sleep(50 * time.Millisecond)
		tok, err := r.client.Token(t.Context(), graph) // joins, and isn't served by the failure
		require.NoError(t, err)
		wg.Wait()

		_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{vault}, Claims: `{"x":{}}`})
		require.Error(t, err)
		_, err = r.client.Token(t.Context(), vault) // at once after it
		require.NoError(t, err)
		assert.Same(t, tok, r.hit(t, graph))
	})
}

func TestMinValidity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		acquire := func(min time.Duration) (*certtoken.Token, error) {
			return r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, MinValidity: min})
		}
		first := r.token(t, graph)
		tok, err := acquire(50 * time.Minute)
		require.NoError(t, err)
		assert.Same(t, first, tok)
		time.Sleep(20 * time.Minute)
		assert.Same(t, first, r.hit(t, graph))
		tok, err = acquire(50 * time.Minute)
		require.NoError(t, err)
		assert.NotSame(t, first, tok, "the old one was too short")
		assert.Same(t, tok, r.hit(t, graph))
		assert.Equal(t, 2, r.server.Count())

		for range 10 {
			_, err = acquire(2 * time.Hour)
			require.ErrorIs(t, err, certtoken.ErrShortLived)
			require.ErrorContains(t, err, "2h")
		}
		assert.Equal(t, 2, r.server.Count(), "a new token can't be longer: it isn't asked for in a loop")
		assert.Same(t, tok, r.hit(t, graph))
		time.Sleep(2 * time.Minute)
		r.server.SetLifetime(3 * time.Hour)
		tok, err = acquire(2 * time.Hour)
		require.NoError(t, err)
		assert.Equal(t, 3, r.server.Count())
		assert.Same(t, tok, r.hit(t, graph))
	})
}

func TestMinValidityThatMakesNoSense(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		old := r.token(t, graph)
		time.Sleep(2 * time.Hour)
		tok, err := r.client.Acquire(
			t.Context(),
			certtoken.Request{Scopes: []string{graph}, MinValidity: -3 * time.Hour},
		)
		if err == nil {
			assert.NotSame(t, old, tok, "a token that is over was handed out")
		}
		for _, huge := range []time.Duration{math.MaxInt64, math.MaxInt64 - time.Duration(time.Hour)} {
			_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, MinValidity: huge})
			assert.Error(t, err, "no token is valid for 292 years")
		}
	})
}

func TestCheck(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.client.Check(t.Context()))
	assert.Equal(t, graph, r.server.LastRequest().Scope, "without scopes it is Microsoft Graph")
	require.NoError(t, r.client.Check(t.Context(), vault))
	assert.Equal(t, 2, r.server.Count())
	r.server.Fail(certtokentest.Fault{Code: 500011})
	assert.ErrorContains(t, r.client.Check(t.Context(), "api://typo/.default"), "500011")
	require.NoError(t, r.client.Close())
	assert.ErrorIs(t, r.client.Check(t.Context()), certtoken.ErrClosed)
}

func TestCheckFindsABadCertificate(t *testing.T) {
	gone := errors.New("no such secret")
	for name, c := range map[string]struct {
		source certtoken.CertSource
		want   string
	}{
		"error": {
			certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { return nil, gone }),
			gone.Error(),
		},
		"nothing": {
			certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { return nil, nil }),
			"nil certificate",
		},
		"file": {certtoken.CertFile("no-such-file.pfx"), "no-such-file.pfx"},
		"panic": {
			certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic("oops") }),
			"panicked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(t, nil, c.source)
			require.NotPanics(t, func() {
				assert.ErrorContains(t, r.client.Check(t.Context()), c.want)
			})
			assert.Zero(t, r.server.Count())
		})
	}
}

func TestTokenAllocatesNothing(t *testing.T) {
	server := certtokentest.New(certtokentest.WithIssuer("https://as.example.com"), certtokentest.WithOpaqueTokens())
	r := newRigOf(t, server, nil, certtoken.WithHooks(certtoken.Hooks{Hit: func(certtoken.Event) {}}))
	ctx := t.Context()
	several := []string{"c", "a", "b", "d"}
	r.token(t, "a")
	r.token(t, "a", "b", "c", "d")
	source := r.client.TokenSource("a")
	_, err := source.Token()
	require.NoError(t, err)
	for name, f := range map[string]func() error{
		"one scope":      func() error { _, err := r.client.Token(ctx, "a"); return err },
		"several scopes": func() error { _, err := r.client.Token(ctx, several...); return err },
		"Acquire": func() error {
			_, err := r.client.Acquire(ctx, certtoken.Request{Scopes: several})
			return err
		},
		"TokenSource":  func() error { _, err := source.Token(); return err },
		"TokenContext": func() error { _, err := source.TokenContext(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			assert.Zero(t, testing.AllocsPerRun(1000, func() {
				if err := f(); err != nil {
					panic(err)
				}
			}))
		})
	}
	assert.Equal(t, 2, r.server.Count())
}

func TestTenantsAndUsersHitsAllocateNothing(t *testing.T) {
	client := newStubClient(t, &stub{life: 3600}, certtoken.WithTenants("fabrikam.com"))
	ctx := t.Context()
	for name, req := range map[string]certtoken.Request{
		"tenant":          {Scopes: []string{graph}, Tenant: "fabrikam.com"},
		"user":            {Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("ada")},
		"tenant and user": {Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("ada"), Tenant: "fabrikam.com"},
		"parameters": {
			Scopes: []string{graph}, Parameters: url.Values{"resource": {"urn:a", "urn:b"},
				"authorization_details": {details}},
		},
		"everything": {
			Scopes: []string{graph}, Tenant: "fabrikam.com", Grant: certtoken.OnBehalfOf("ada"),
			MinValidity: time.Minute,
			Parameters:  url.Values{"resource": {"urn:a"}, "audience": {"b"}},
		},
	} {
		first, err := client.Acquire(ctx, req)
		require.NoError(t, err, name)
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			if again, err := client.Acquire(ctx, req); err != nil || again != first {
				panic(name)
			}
		}), name)
	}
}

// What a cached token takes beside the token itself.
func TestBytesPerCachedToken(t *testing.T) {
	const tokens, size = 5_000, 1536
	scopes := make([]string, tokens)
	for i := range scopes {
		scopes[i] = scopeOf(i)
	}
	var per float64
	for range 10 { // what other tests left may become garbage in between, which spoils a measurement
		per = bytesPerToken(t, scopes, size)
		t.Logf("%.0f bytes for each token of %d", per, size)
		if per > size && per <= size+400 {
			break
		}
	}
	assert.LessOrEqual(t, per, float64(size+400))
	assert.Greater(t, per, float64(size), "the measurement can't be right")
}

// bytesPerToken measures what tokens of these scopes take in a new client.
func bytesPerToken(t *testing.T, scopes []string, size int) float64 {
	t.Helper()
	client := newStubClient(t, &stub{size: size, life: 3600})
	_, err := client.Token(t.Context(), "api://first/.default") // what is there once
	require.NoError(t, err)
	heap := func() float64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	for _, scope := range scopes {
		if _, err := client.Token(t.Context(), scope); err != nil {
			require.NoError(t, err)
		}
	}
	per := (heap() - before) / float64(len(scopes))
	runtime.KeepAlive(client)
	require.NoError(t, client.Close())
	return per
}

// Users whose tokens are very large fill no more memory than the documentation says.
func TestUsersBytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const users, size, documented = 1_000, 100_000, 80 << 20 // 838 find a place
		endpoint := &stub{size: size, life: 3600}
		client := newStubClient(t, endpoint)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		ask := func(user int) {
			grant := certtoken.OnBehalfOf(fmt.Sprint("user-", user))
			_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Grant: grant})
			require.NoError(t, err)
		}
		for i := range users {
			ask(i)
		}
		synctest.Wait() // the last token is weighed, and makes room for itself, behind its caller
		var took float64
		for range 10 { // a pool or a finalizer may hold something for one collection more
			if took = float64(heap()) - float64(before); took < 1.05*documented {
				break
			}
		}
		assert.Less(t, took, 1.05*documented)
		kept := certtoken.UserCacheLen(client)
		assert.InDelta(t, documented/size, kept, documented/size/20)
		for i := range kept {
			ask(users - 1 - i)
		}
		assert.EqualValues(t, users, endpoint.requests.Load(), "the newest are kept")
	})
}

func TestCacheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, strangers = 100, 2_000
		endpoint := &stub{life: 24 * 3600}
		client := newStubClient(t, endpoint, certtoken.WithCacheLimit(limit))
		hot, err := client.Token(t.Context(), graph)
		require.NoError(t, err)
		for i := range strangers {
			time.Sleep(2 * time.Second)
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
			tok, err := client.Token(t.Context(), graph)
			require.NoError(t, err)
			if tok.ExpiresAt().Sub(hot.ExpiresAt()) > 0 && endpoint.requests.Load() == int64(i+2) {
				hot = tok // renewed, in the end
			}
		}
		synctest.Wait()
		assert.LessOrEqual(t, certtoken.CacheLen(client), limit)
		asked := int(endpoint.requests.Load())
		assert.InDelta(t, strangers+1, asked, 2, "the hot entry was evicted")
	})
}

// Without a moment's rest between them, the stamps of all entries are the same.
func TestCacheLimitHoldsUnderARush(t *testing.T) {
	const limit = 100
	endpoint := &stub{life: 3600}
	client := newStubClient(t, endpoint, certtoken.WithCacheLimit(limit))
	for i := range 20 * limit {
		_, err := client.Token(t.Context(), scopeOf(i))
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, certtoken.CacheLen(client), limit)
	assert.Equal(t, int64(20*limit), endpoint.requests.Load())
}

// While their flights last, slots can't leave; afterwards they must.
func TestCacheLimitAfterABurstOfFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, burst = 100, 500
		endpoint := roundTripFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return nil, errors.New("no network")
		})
		client := newStubClient(t, endpoint, certtoken.WithCacheLimit(limit))
		var wg sync.WaitGroup
		for i := range burst {
			wg.Go(func() {
				_, err := client.Token(t.Context(), scopeOf(i))
				assert.Error(t, err)
			})
		}
		wg.Wait()
		for i := range 2 * limit {
			_, err := client.Token(t.Context(), fmt.Sprintf("api://later-%d/.default", i))
			require.Error(t, err)
		}
		assert.LessOrEqual(t, certtoken.CacheLen(client), limit+10)
	})
}

func TestCacheLimitAfterABurstOfTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, burst = 100, 1_000
		endpoint := &slowStub{stub: stub{life: 24 * 3600}, delay: time.Second}
		client := newStubClient(t, endpoint, certtoken.WithCacheLimit(limit))
		var wg sync.WaitGroup
		for i := range burst {
			wg.Go(func() {
				_, err := client.Token(t.Context(), scopeOf(i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		for i := range 500 {
			_, err := client.Token(t.Context(), fmt.Sprintf("api://later-%d/.default", i))
			require.NoError(t, err)
		}
		assert.LessOrEqual(t, certtoken.CacheLen(client), limit+10)
	})
}

// slowStub takes its time.
type slowStub struct {
	stub
	delay time.Duration
}

func (s *slowStub) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(s.delay)
	return s.stub.RoundTrip(req)
}

func TestExpiredTokensLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		endpoint := &stub{life: 60}
		client := newStubClient(t, endpoint)
		for i := range 5_000 {
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
		}
		time.Sleep(2 * time.Minute)
		for i := range 5_000 {
			_, err := client.Token(t.Context(), fmt.Sprintf("api://next-%d/.default", i))
			require.NoError(t, err)
		}
		assert.Less(t, certtoken.CacheLen(client), 6_000, "what is over fills the cache")
	})
}

// Readers run while the table grows and its entries are relinked: no
// token is lost, and none is asked for twice.
func TestReadersWhileTheCacheGrows(t *testing.T) {
	const old, fresh, readers = 200, 1_000, 4
	endpoint := &stub{life: 3600}
	client := newStubClient(t, endpoint)
	want := make([]*certtoken.Token, old)
	for i := range want {
		tok, err := client.Token(t.Context(), scopeOf(i))
		require.NoError(t, err)
		want[i] = tok
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var hits atomic.Int64
	for n := range readers {
		wg.Go(func() {
			for i := n; ; i = (i + 7) % old {
				select {
				case <-stop:
					return
				default:
				}
				tok, err := client.Token(t.Context(), scopeOf(i))
				if !assert.NoError(t, err) || !assert.Same(t, want[i], tok) {
					return
				}
				hits.Add(1)
				runtime.Gosched()
			}
		})
	}
	for i := range fresh {
		if i%100 == 0 { // the readers read meanwhile, however few processors there are
			for seen := hits.Load(); hits.Load() == seen && !t.Failed(); {
				runtime.Gosched()
			}
		}
		_, err := client.Token(t.Context(), fmt.Sprintf("api://fresh-%d/.default", i))
		require.NoError(t, err)
	}
	close(stop)
	wg.Wait()
	assert.Equal(t, int64(old+fresh), endpoint.requests.Load(), "a token was lost on the way")
	assert.Equal(t, old+fresh, certtoken.CacheLen(client))
}

// A handle whose slot was evicted finds the new one.
func TestHandleOfAnEvictedSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		endpoint := &stub{life: 24 * 3600}
		client := newStubClient(t, endpoint, certtoken.WithCacheLimit(20))
		source := client.TokenSource(graph)
		first, err := source.Token()
		require.NoError(t, err)
		for i := range 200 {
			time.Sleep(time.Minute)
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
		}
		before := endpoint.requests.Load()
		second, err := source.Token()
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken, second.AccessToken, "it was evicted")
		direct, err := client.Token(t.Context(), graph)
		require.NoError(t, err)
		assert.Equal(t, second.AccessToken, direct.AccessToken(), "handle and client have the same slot")
		third, err := source.Token()
		require.NoError(t, err)
		assert.Same(t, second, third)
		assert.Equal(t, before+1, endpoint.requests.Load())
	})
}

// labelled grants tokens that say what they are for.
type labelled struct{ granted atomic.Int64 }

func (l *labelled) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	if rand.IntN(2) == 0 {
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	}
	body := fmt.Sprintf(
		`{"access_token":"%d|%s|%s","token_type":"Bearer","expires_in":10}`,
		l.granted.Add(1),
		req.URL.Path,
		req.PostForm.Get("scope"),
	)
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    req,
	}, nil
}

// Many callers do everything at once in a cache that is too small for them:
// each gets a valid token for what it asked for.
func TestEverythingAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		endpoint := new(labelled)
		client := newStubClient(
			t,
			endpoint,
			certtoken.WithTenants("*"),
			certtoken.WithCacheLimit(12),
			certtoken.WithKeepWarm(scopeOf(0)),
		)
		check := func(tok *certtoken.Token, err error, tenant, scope string) {
			if !assert.NoError(t, err) {
				return
			}
			assert.Contains(t, tok.AccessToken(), "/"+tenant+"/", "another tenant's token")
			assert.True(t, strings.HasSuffix(tok.AccessToken(), "|"+scope), "another scope's token")
			assert.True(t, tok.ExpiresAt().After(time.Now()), "a token that is over")
		}
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				sources := map[string]*certtoken.TokenSource{}
				for range 300 {
					time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
					tenant, scope := "contoso.com", scopeOf(rand.IntN(8))
					switch op := rand.IntN(20); op {
					case 0:
						tok, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
						check(tok, err, tenant, scope)
					case 1:
						tok, err := client.Acquire(
							t.Context(),
							certtoken.Request{Scopes: []string{scope}, Claims: fmt.Sprintf(`{"n":%d}`, rand.IntN(3))},
						)
						check(tok, err, tenant, scope)
					case 2:
						tok, err := client.Acquire(
							t.Context(),
							certtoken.Request{Scopes: []string{scope}, MinValidity: time.Second},
						)
						check(tok, err, tenant, scope)
					case 3:
						ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
						if _, err := client.Token(ctx, scope); err != nil {
							assert.ErrorIs(t, err, context.DeadlineExceeded)
						}
						cancel()
					case 4, 5, 6, 7:
						tenant = fmt.Sprintf("tenant-%d.com", rand.IntN(8))
						tok, err := client.Acquire(
							t.Context(),
							certtoken.Request{Scopes: []string{scope}, Tenant: tenant},
						)
						check(tok, err, tenant, scope)
					case 8, 9, 10:
						if sources[scope] == nil {
							sources[scope] = client.TokenSource(scope)
						}
						tok, err := sources[scope].Token()
						if assert.NoError(t, err) {
							assert.True(t, strings.HasSuffix(tok.AccessToken, "|"+scope))
							assert.True(t, tok.Expiry.After(time.Now()))
						}
					default:
						tok, err := client.Token(t.Context(), scope)
						check(tok, err, tenant, scope)
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // for flights whose callers have left: their slots stay until then
		assert.LessOrEqual(t, certtoken.CacheLen(client), 13)
	})
}
