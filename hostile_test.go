package certtoken_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// What other parties could try. SECURITY.md names these tests.

// oneLine checks that a text stays on its line and in its reading direction, and is
// short.
func oneLine(t *testing.T, text string) {
	t.Helper()
	assert.Equal(
		t,
		-1,
		strings.IndexFunc(text, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }),
		"%q",
		text,
	)
	assert.Less(t, len(text), 4<<10)
}

// A network attacker's certificate can have line ends in its names, which
// crypto/x509 puts into its error as they are.
func TestForeignCertificateForgesNoLogLine(t *testing.T) {
	const forged = "x\nlevel=INFO msg=\"token acquired\"\x1b[2K"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{forged},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	defer srv.Close()

	base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
	defer base.CloseIdleConnections()
	hc := &http.Client{Transport: base}
	at := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	client, err := certtoken.NewClient(certtoken.Issuer(at, at+"/token"), appID,
		certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), certtoken.WithHTTPClient(hc))
	require.NoError(t, err)
	defer client.Close()
	_, tokenErr := client.Token(t.Context(), "read")
	_, discoveryErr := certtoken.Discover(t.Context(), at, certtoken.WithDiscoveryClient(hc))
	for name, err := range map[string]error{"token": tokenErr, "discovery": discoveryErr} {
		require.Error(t, err, name)
		var host x509.HostnameError
		require.ErrorAs(t, err, &host, "%s: the cause stays for errors.As", name)
		require.Contains(t, host.Error(), "\n", "%s: the attack is none", name)
		for line := range strings.Lines(err.Error()) { // of errors joined, one each
			assert.Regexp(t, "^(certtoken: )?(discovery: )?https://localhost:", line, name)
			oneLine(t, strings.TrimSuffix(line, "\n"))
		}
	}
}

// Nor does what a proxy, a RoundTripper or a store says.
func TestForeignErrorsForgeNoLogLine(t *testing.T) {
	foreign := errors.New("no\nlevel=INFO \u202eevil\u2028\x1b[2K\x00 " + strings.Repeat("flood ", 100_000))
	bubble(t, func(t *testing.T) {
		client := newStubClient(t, roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, foreign }))
		_, err := client.Token(t.Context(), graph)
		require.ErrorIs(t, err, foreign)
		oneLine(t, err.Error())

		var told []error
		r := newRig(
			t,
			certtoken.WithStore(
				hostile{
					Store: certtoken.NewMemoryStore(),
					get:   func(context.Context, string) ([]byte, error) { return nil, foreign },
				},
				storeSecret,
			),
			certtoken.WithHooks(certtoken.Hooks{StoreFailed: func(e certtoken.Event) { told = append(told, e.Err) }}),
		)
		r.token(t, graph)
		synctest.Wait()
		require.NotEmpty(t, told)
		for _, err := range told {
			require.ErrorIs(t, err, foreign)
			oneLine(t, err.Error())
		}
	})
}

// A hostile answer can't write into the log's lines either, whatever field.
func TestForeignAnswersForgeNoLogLine(t *testing.T) {
	const evil = "a\r\nlevel=INFO \u202eb\u2029\x1b[2K\x7f\u0085"
	answer, err := json.Marshal(
		map[string]any{
			"error":             evil,
			"error_description": evil + "!",
			"error_uri":         evil,
			"suberror":          evil,
			"trace_id":          evil,
			"correlation_id":    evil,
		},
	)
	require.NoError(t, err)
	bubble(t, func(t *testing.T) {
		client := newStubClient(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 400,
				Header:     http.Header{"Content-Type": {evil}},
				Body:       io.NopCloser(strings.NewReader(string(answer))),
				Request:    req,
			}, nil
		}))
		_, err := client.Token(t.Context(), graph)
		var te *certtoken.TokenError
		require.ErrorAs(t, err, &te)
		for _, text := range []string{err.Error(), te.Code, te.Description, te.URI, te.Suberror, te.TraceID,
			te.CorrelationID} {
			assert.NotEmpty(t, text)
			oneLine(t, text)
		}
	})
}

// Servers escape what they repeat in their own ways; a code or a refresh token
// has no shape to be known by.
func TestEscapedEchoesShowNoGrant(t *testing.T) {
	const code = "4/0Ab-cd+ef_gh&ij<kl=mn~opqrstuvwxyz"
	unicodeEscapes := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		return b.String()
	}
	for name, written := range map[string]string{
		"plain":          code,
		"slashes":        strings.ReplaceAll(code, "/", `\/`),
		"HTML's":         strings.NewReplacer("&", `\u0026`, "<", `\u003c`).Replace(code),
		"all characters": unicodeEscapes(code),
	} {
		t.Run(name, func(t *testing.T) {
			client := newStubClient(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
				body := strings.ReplaceAll(
					`{"error":"invalid_grant","error_description":"you sent `+
						`SECRET","error_uri":"https://x/?SECRET","suberror":"SECRET","claims":"{\"a\":\"SECRET\"}"}`,
					"SECRET",
					written,
				)
				return &http.Response{
					StatusCode: 400,
					Header:     http.Header{},
					Body:       io.NopCloser(strings.NewReader(body)),
					Request:    req,
				}, nil
			}))
			for _, grant := range []certtoken.Grant{certtoken.AuthorizationCode(code, "", ""),
				certtoken.RefreshToken(code)} {
				_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Grant: grant})
				var te *certtoken.TokenError
				require.ErrorAs(t, err, &te)
				assert.Contains(t, te.Description, "you sent [removed]")
				for _, text := range []string{err.Error(), te.URI, te.Suberror, te.Claims} {
					assert.NotContains(t, text, code[2:20])
				}
			}
		})
	}
}

// A RoundTripper may leave out which request it answered. Then it isn't known where a
// redirect came from, and the token isn't sent.
func TestRedirectsOfAForgetfulBase(t *testing.T) {
	const a, b, c = "https://a.example.com/", "https://b.example.com/", "https://c.example.com/"
	for name, hops := range map[string][]hop{
		"on to a third":      {{a, b, 302}, {b, c, 302}},
		"there and back":     {{a, b, 302}, {b, a + "2", 302}},
		"through plain http": {{a, "http://a.example.com/", 302}, {"http://a.example.com/", a + "2", 302}},
	} {
		for _, forgets := range []bool{true, false} {
			t.Run(fmt.Sprint(name, forgets), func(t *testing.T) {
				r := newRig(t)
				base := &chain{hops: hops, tokens: map[string]bool{}, bodies: map[string]string{}}
				forgetful := roundTripFunc(func(req *http.Request) (*http.Response, error) {
					resp, err := base.RoundTrip(req)
					if resp != nil && forgets {
						resp.Request = nil
					}
					return resp, err
				})
				hc := &http.Client{Transport: r.client.Transport(forgetful, apiScope)}
				resp, err := hc.Get(a)
				require.Equal(t, 200, status(t, resp, err))
				assert.Len(t, base.tokens, 3)
				for url, given := range base.tokens {
					assert.Equal(t, url == a, given, url)
				}
			})
		}
	}
}

// An entry is good for what it was stored for: no other tenant, client,
// endpoint, scope, parameter, user or key opens it, wherever it is put.
func TestStoreEntriesCannotBeSwapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		srv.Register(appID, cert.Leaf)
		type question struct {
			authority certtoken.Authority
			client    string
			request   certtoken.Request
			secret    []byte
		}
		entra := certtoken.Entra(tenantID)
		one := certtoken.Request{Scopes: []string{"api://a/.default"}}
		questions := map[string]question{
			"the first":      {entra, clientID, one, storeSecret},
			"another tenant": {certtoken.Entra("other.example"), clientID, one, storeSecret},
			"another cloud":  {certtoken.EntraUSGov(tenantID), clientID, one, storeSecret},
			"another client": {entra, appID, one, storeSecret},
			"another scope":  {entra, clientID, certtoken.Request{Scopes: []string{"api://b/.default"}}, storeSecret},
			"a parameter": {
				certtoken.Entra(tenantID, certtoken.WithParameter("a", "b")),
				clientID,
				one,
				storeSecret,
			},
			"a query":        {certtoken.Entra(tenantID, certtoken.WithQuery("a", "b")), clientID, one, storeSecret},
			"another secret": {entra, clientID, one, storeSecret2},
			"a user": {
				entra,
				clientID,
				certtoken.Request{Scopes: one.Scopes, Grant: certtoken.OnBehalfOf(srv.UserToken("ada", clientID))},
				storeSecret,
			},
		}
		ask := func(q question, store certtoken.Store, failed func(certtoken.Event)) {
			client, err := certtoken.NewClient(q.authority, q.client, cert, certtoken.WithHTTPClient(srv.Client()),
				certtoken.WithStore(store, q.secret), certtoken.WithHooks(certtoken.Hooks{StoreFailed: failed}))
			require.NoError(t, err)
			_, err = client.Acquire(t.Context(), q.request)
			require.NoError(t, err)
			require.NoError(t, client.Close())
		}
		spy := &spyStore{Store: certtoken.NewMemoryStore()}
		ask(questions["the first"], spy, nil)
		entries := maps.Clone(spy.entries)
		require.Len(t, entries, 1)
		for name, q := range questions {
			before, refused := srv.Count(), 0
			ask(q, hostile{Store: certtoken.NewMemoryStore(), get: func(context.Context, string) ([]byte, error) {
				for _, value := range entries {
					return value, nil // whatever is asked for
				}
				return nil, certtoken.ErrStoreMiss
			}}, func(e certtoken.Event) { assert.ErrorContains(t, e.Err, "doesn't open"); refused++ })
			if name == "the first" {
				assert.Equal(t, before, srv.Count(), "the entry is good")
				continue
			}
			assert.Equal(t, before+1, srv.Count(), name)
			assert.Positive(t, refused, name)
		}
	})
}

// An attacker who puts back an older entry can't displace the newer token that
// a client has, nor have a token handed out after its end.
func TestStoreEntriesRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		srv.SetLifetime(time.Hour)
		spy := &spyStore{Store: certtoken.NewMemoryStore()}
		client := process(t, srv, cert, spy)
		first, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		synctest.Wait()
		spy.mu.Lock()
		old := maps.Clone(spy.entries)
		spy.mu.Unlock()
		rolled := hostile{
			Store: certtoken.NewMemoryStore(),
			get:   func(_ context.Context, key string) ([]byte, error) { return old[key], nil },
		}

		victim := process(t, srv, cert, rolled)
		got, err := victim.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, first.AccessToken(), got.AccessToken(), "an entry is used until it is due")
		newer, err := victim.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken(), newer.AccessToken())
		for range 120 { // two hours, with renewals
			time.Sleep(time.Minute)
			got, err := victim.Token(t.Context(), scope)
			require.NoError(t, err)
			assert.NotEqual(t, first.AccessToken(), got.AccessToken())
			assert.True(t, time.Now().Before(got.ExpiresAt()))
		}
	})
}

// The lock of some scopes is the entry of no others, a scope named lock
// included.
func TestStoreLocksAreNoEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New(certtokentest.WithIssuer("https://issuer.example"))
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		srv.Register(clientID, cert.Leaf)
		client, err := certtoken.NewClient(srv.Authority(), clientID, cert, certtoken.WithHTTPClient(srv.Client()),
			certtoken.WithStore(certtoken.NewMemoryStore(), storeSecret),
			certtoken.WithHooks(certtoken.Hooks{StoreFailed: func(e certtoken.Event) { assert.NoError(t, e.Err) }}))
		require.NoError(t, err)
		defer client.Close()
		start := time.Now()
		for _, scopes := range [][]string{{"a", "lock"}, {"a"}, {"a", "lock", "lock2"}} {
			_, err = client.Token(t.Context(), scopes...)
			require.NoError(t, err)
			synctest.Wait()
		}
		assert.Zero(t, time.Since(start), "somebody waited for a lock that is an entry")
	})
}

// A tenant's name from a stranger's request makes no other host, path or query.
func TestHostileTenants(t *testing.T) {
	r := newRig(t, certtoken.WithTenants("*"))
	for _, tenant := range []string{
		"a@evil.example", "evil.example/..", "../common", "..", ".", "%2e%2e", "a.com/oauth2/v2.0/token?x=", "a.com#",
		"a.com?b=c", `a.com\@evil.example`,
		"a.com:443", "[::1]", "127.0.0.1", "169.254.169.254", "localhost", "a.com.", ".a.com", "a..com", "-a.com",
		"a-.com",
		"bücher.example", "ａ.com", "a。com",
		"a.com\n", "a.com\r\nHost: evil", "a.com\x00", " a.com", "a.com ", "a.\u202ecom", "a.com;b", "common", "COMMON",
		"Organizations", "consumers",
		strings.Repeat("a.", 127) + "com", strings.Repeat("a", 64) + ".com", "00000000-0000-0000-0000-00000000000g",
		"{00000000-0000-0000-0000-000000000000}",
	} {
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
		require.Error(t, err, "%q", tenant)
		oneLine(t, err.Error())
		_, err = certtoken.NewClient(certtoken.Entra(tenant), appID, r.cert)
		require.Error(t, err, "%q", tenant)
	}
	assert.Zero(t, r.server.Count(), "nothing was sent")
}
