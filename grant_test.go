package certtoken_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	user     = "ada@contoso.com"
	userRead = "https://graph.microsoft.com/User.Read"
	callback = "https://app.example/callback"
	verifier = "a-verifier-of-43-characters-is-the-shortest"
)

// signIn is what a user's sign-in left at the server.
func signIn(scopes ...string) certtokentest.CodeRequest {
	return certtokentest.CodeRequest{
		ClientID: appID, User: user, RedirectURI: callback,
		CodeChallenge: oauth2.S256ChallengeFromVerifier(verifier), Scopes: scopes,
	}
}

// acquire asks with a grant.
func (r *rig) acquire(t testing.TB, grant certtoken.Grant, scopes ...string) (*certtoken.Token, error) {
	t.Helper()
	return r.client.Acquire(t.Context(), certtoken.Request{Scopes: scopes, Grant: grant})
}

// Every grant against an endpoint that checks it.
func TestGrants(t *testing.T) {
	refreshed := func(t *testing.T, r *rig) string {
		tok, err := r.acquire(
			t,
			certtoken.AuthorizationCode(
				r.server.AuthorizationCode(signIn(userRead, "offline_access")),
				callback,
				verifier,
			),
		)
		require.NoError(t, err)
		require.NotEmpty(t, tok.RefreshToken())
		return tok.RefreshToken()
	}
	code := func(redirect, verifier string) func(*testing.T, *rig) certtoken.Grant {
		return func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.AuthorizationCode(
				r.server.AuthorizationCode(signIn(userRead, "offline_access", "openid")),
				redirect,
				verifier,
			)
		}
	}
	cases := map[string]struct {
		grant  func(*testing.T, *rig) certtoken.Grant
		scopes []string
		code   int    // AADSTS; 0: a token is granted
		says   string // that the advice contains
		signed bool   // an ID token comes with the token, since the sign-in asked for openid
	}{
		"nothing": {
			grant:  func(*testing.T, *rig) certtoken.Grant { return certtoken.Grant{} },
			scopes: []string{graph},
		},
		"on behalf of a user": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.OnBehalfOf(r.server.UserToken(user, appID))
		}, scopes: []string{userRead}},
		"on behalf of, everything": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.OnBehalfOf(r.server.UserToken(user, appID))
		},
			scopes: []string{graph}},
		"on behalf of, for another app": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.OnBehalfOf(r.server.UserToken(user, "other"))
		},
			scopes: []string{userRead}, code: 500131, says: "audience"},
		"on behalf of, made up": {
			grant:  func(*testing.T, *rig) certtoken.Grant { return certtoken.OnBehalfOf("eyJh.eyJh.c2ln") },
			scopes: []string{userRead},
			code:   50013,
			says:   "assertion",
		},
		"on behalf of, expired": {grant: expiredUser, scopes: []string{userRead}, code: 500133, says: "new one"},
		"on behalf of, app's own": {grant: func(t *testing.T, r *rig) certtoken.Grant {
			return certtoken.OnBehalfOf(r.token(t, vault).AccessToken())
		}, scopes: []string{userRead}, code: 50013},
		"on behalf of, two places": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.OnBehalfOf(r.server.UserToken(user, appID))
		}, scopes: []string{userRead, "https://vault.azure.net/user"}, code: 28000},

		"code":                   {grant: code(callback, verifier), scopes: []string{userRead}},
		"code, scopes of before": {grant: code(callback, verifier), signed: true},
		"code, another redirect": {grant: code("https://evil.example/", verifier), code: 500112},
		"code, no redirect":      {grant: code("", verifier), code: 500112},
		"code, another verifier": {grant: code(callback, strings.Repeat("x", 43)), code: 50148, says: "verifier"},
		"code, no verifier":      {grant: code(callback, ""), code: 50148},
		"code, made up": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.AuthorizationCode("made-up", callback, verifier)
		}, code: 70000, says: "sign in"},
		"code, more scopes": {
			grant:  code(callback, verifier),
			scopes: []string{"https://graph.microsoft.com/Mail.Read"},
			code:   70011,
		},
		"code, of another app": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			s := signIn(userRead)
			s.ClientID = "other"
			return certtoken.AuthorizationCode(r.server.AuthorizationCode(s), callback, verifier)
		}, code: 70000},

		"refresh token": {
			grant: func(t *testing.T, r *rig) certtoken.Grant { return certtoken.RefreshToken(refreshed(t, r)) },
		},
		"refresh token, made up": {
			grant: func(*testing.T, *rig) certtoken.Grant { return certtoken.RefreshToken("made-up") },
			code:  70000,
			says:  "sign in",
		},
		"refresh token, a code": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.RefreshToken(r.server.AuthorizationCode(signIn(userRead)))
		}, code: 70000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				grant := c.grant(t, r)
				tok, err := r.acquire(t, grant, c.scopes...)
				if c.code != 0 {
					var te *certtoken.TokenError
					require.ErrorAs(t, err, &te)
					assert.Equal(t, []int{c.code}, te.AADSTS)
					assert.Contains(t, te.Advice(), c.says)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, r.server.LastRequest().AccessToken, tok.AccessToken())
				assert.Equal(t, c.signed, tok.IDToken() != "", "an ID token comes with openid")
			})
		})
	}
}

func expiredUser(_ *testing.T, r *rig) certtoken.Grant {
	grant := certtoken.OnBehalfOf(r.server.UserToken(user, appID))
	time.Sleep(2 * time.Hour)
	return grant
}

// What can be seen to be wrong isn't sent, and not repeated either.
func TestGrantsThatMakeNoSense(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		req  certtoken.Request
		says string
	}{
		"no assertion": {
			certtoken.Request{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("")}, "OnBehalfOf",
		},
		"assertion of lines": {
			certtoken.Request{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("first-secret\nsecond")},
			"characters",
		},
		"huge assertion": {
			certtoken.Request{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(strings.Repeat("secret", 20_000))},
			"bytes",
		},
		"no scope": {certtoken.Request{Grant: certtoken.OnBehalfOf("secret")}, "no scope"},
		"no code": {
			certtoken.Request{Grant: certtoken.AuthorizationCode("", callback, verifier)}, "AuthorizationCode",
		},
		"short verifier": {
			certtoken.Request{Grant: certtoken.AuthorizationCode("secret", callback, "secret")}, "7636",
		},
		"no refresh token": {certtoken.Request{Grant: certtoken.RefreshToken("")}, "RefreshToken"},
		"min validity, once": {
			certtoken.Request{Grant: certtoken.RefreshToken("secret"), MinValidity: time.Hour}, "MinValidity",
		},
		"tenant not allowed": {
			certtoken.Request{Grant: certtoken.RefreshToken("secret"), Tenant: "fabrikam.com"}, "WithTenants",
		},
		"claims not a object": {certtoken.Request{Grant: certtoken.RefreshToken("secret"), Claims: "secret"}, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.client.Acquire(t.Context(), c.req)
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	assert.Zero(t, r.server.Count())
}

var jwtPattern = regexp.MustCompile(`^eyJ[\w-]+\.[\w-]+\.[\w-]+$`)

// wireOf is a token request for the golden files: who is asked, and the form.
func wireOf(t *testing.T, req certtokentest.Request) string {
	t.Helper()
	var lines []string
	for name, values := range req.Form {
		value := strings.Join(values, "|")
		switch {
		case name == "client_assertion" && jwtPattern.MatchString(value):
			value = "JWT"
		case name == "assertion" && jwtPattern.MatchString(value):
			value = "USER JWT"
		case name == "code" || name == "refresh_token":
			value = "SECRET"
		}
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return req.Method + " " + req.URL + "\n" + strings.Join(lines, "\n") + "\n"
}

// golden compares with a file in testdata/wire.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "wire", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// The form of every grant, byte for byte but for the secrets.
func TestGrantWire(t *testing.T) {
	r := newRig(t, certtoken.WithCapabilities("cp1"))
	r.token(t, graph)
	golden(t, "client-credentials", wireOf(t, r.server.LastRequest()))

	_, err := r.acquire(
		t,
		certtoken.OnBehalfOf(r.server.UserToken(user, appID)),
		userRead,
		"https://graph.microsoft.com/Mail.Read",
	)
	require.NoError(t, err)
	golden(t, "on-behalf-of", wireOf(t, r.server.LastRequest()))

	tok, err := r.acquire(
		t,
		certtoken.AuthorizationCode(r.server.AuthorizationCode(signIn(userRead, "offline_access")), callback, verifier),
		userRead,
		"offline_access",
	)
	require.NoError(t, err)
	golden(t, "authorization-code", wireOf(t, r.server.LastRequest()))

	_, err = r.acquire(t, certtoken.RefreshToken(tok.RefreshToken()), userRead)
	require.NoError(t, err)
	golden(t, "refresh-token", wireOf(t, r.server.LastRequest()))

	_, err = r.acquire(t, certtoken.AuthorizationCode("only-a-code", "", ""))
	require.Error(t, err)
	golden(t, "code-alone", wireOf(t, r.server.LastRequest()))
}

// A user's token is cached for that user's very assertion, tenant and scopes.
func TestOnBehalfOfIsCached(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithTenants("fabrikam.com"))
		own := r.token(t, graph)
		ada, bob := r.server.UserToken(user, appID), r.server.UserToken("bob@contoso.com", appID)
		first, err := r.acquire(t, certtoken.OnBehalfOf(ada), graph)
		require.NoError(t, err)
		assert.NotSame(t, own, first)
		for range 3 {
			again, err := r.acquire(t, certtoken.OnBehalfOf(ada), graph)
			require.NoError(t, err)
			assert.Same(t, first, again)
		}
		assert.Same(t, own, r.hit(t, graph), "a user's token is never the client's own")
		seen := []*certtoken.Token{own, first}
		for _, req := range []certtoken.Request{
			{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(bob)},
			{Scopes: []string{userRead}, Grant: certtoken.OnBehalfOf(ada)},
			{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(ada), Tenant: "fabrikam.com"},
			{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID))},
		} {
			tok, err := r.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			assert.NotContains(t, seen, tok)
			seen = append(seen, tok)
			again, err := r.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			assert.Same(t, tok, again)
		}
		assert.Equal(t, len(seen), r.server.Count())
	})
}

func TestOnBehalfOfIsOneFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Second})
		assertion := r.server.UserToken(user, appID)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := r.acquire(t, certtoken.OnBehalfOf(assertion), graph)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, r.server.Count())
	})
}

// A user's token is renewed behind a caller that comes with the assertion. Once
// the assertion is refused it isn't sent again while the token is valid.
func TestOnBehalfOfIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		grant := certtoken.OnBehalfOf(r.server.UserToken(user, appID))
		get := func() *certtoken.Token {
			start := time.Now()
			tok, err := r.acquire(t, grant, graph)
			require.NoError(t, err)
			require.Zero(t, time.Since(start))
			return tok
		}
		first := get()
		time.Sleep(50 * time.Minute)
		assert.Same(t, first, get())
		synctest.Wait()
		second := get()
		assert.NotSame(t, first, second)
		assert.Equal(t, 2, r.server.Count())

		time.Sleep(50 * time.Minute) // the assertion is over by now
		for range 9 {
			assert.Same(t, second, get(), "a failed renewal reaches no caller")
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 3, r.server.Count(), "a refused assertion is not sent again")
		time.Sleep(5 * time.Minute)
		_, err := r.acquire(t, grant, graph)
		assert.ErrorContains(t, err, "500133")
	})
}

// However many users come, the client's own tokens stay.
func TestUsersEvictNobodyElse(t *testing.T) {
	const limit, users = 50, 2_000
	endpoint := &stub{life: 3600}
	client := newStubClient(t, endpoint, certtoken.WithCacheLimit(10), certtoken.WithUserCacheLimit(limit))
	own := make([]*certtoken.Token, 5)
	for i := range own {
		tok, err := client.Token(t.Context(), scopeOf(i))
		require.NoError(t, err)
		own[i] = tok
	}
	for i := range users {
		_, err := client.Acquire(
			t.Context(),
			certtoken.Request{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(fmt.Sprint("user-", i))},
		)
		require.NoError(t, err)
	}
	for i, want := range own {
		tok, err := client.Token(t.Context(), scopeOf(i))
		require.NoError(t, err)
		assert.Same(t, want, tok)
	}
	assert.LessOrEqual(t, certtoken.UserCacheLen(client), limit)
	assert.Equal(t, len(own), certtoken.CacheLen(client))
}

// Processes share a user's token, and what came with it, as any other.
func TestOnBehalfOfIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithOpaqueTokens())
		shared := certtoken.WithStore(certtoken.NewMemoryStore(), storeSecret)
		one, two := newRigOf(t, server, nil, shared), newRigOf(t, server, nil, shared)
		ada := certtoken.OnBehalfOf(server.UserToken(user, appID))
		first, err := one.acquire(t, ada, userRead, "offline_access", "openid")
		require.NoError(t, err)
		synctest.Wait()
		second, err := two.acquire(t, ada, userRead, "offline_access", "openid")
		require.NoError(t, err)
		assert.Equal(t, first.AccessToken(), second.AccessToken())
		assert.NotEmpty(t, first.RefreshToken())
		assert.Equal(t, first.RefreshToken(), second.RefreshToken())
		assert.Equal(t, first.IDToken(), second.IDToken())
		assert.Equal(t, 1, server.Count())
		_, err = two.acquire(
			t,
			certtoken.OnBehalfOf(server.UserToken("bob", appID)),
			userRead,
			"offline_access",
			"openid",
		)
		require.NoError(t, err)
		_, err = two.acquire(t, certtoken.Grant{}, graph)
		require.NoError(t, err)
		assert.Equal(t, 3, server.Count())
	})
}

// A code that can be redeemed once is sent by each caller for itself, and its token isn't
// cached.
func TestRedemptionIsNeitherCachedNorJoined(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := certtoken.NewMemoryStore()
		r := newRig(t, certtoken.WithStore(store, storeSecret))
		grant := certtoken.AuthorizationCode(
			r.server.AuthorizationCode(signIn(userRead, "offline_access")),
			callback,
			verifier,
		)
		r.server.Fail(certtokentest.Fault{Delay: time.Second}, certtokentest.Fault{Delay: time.Second})
		var wg sync.WaitGroup
		var granted, refused atomic.Int32
		for range 2 {
			wg.Go(func() {
				if _, err := r.acquire(t, grant); err == nil {
					granted.Add(1)
				} else if assert.ErrorContains(t, err, "54005") {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, granted.Load())
		assert.EqualValues(t, 1, refused.Load())
		assert.Zero(t, certtoken.CacheLen(r.client)+certtoken.UserCacheLen(r.client))

		// A generic server's refresh token is good once, and brings the next one.
		server := certtokentest.New(
			certtokentest.WithIssuer("https://as.example.com"),
			certtokentest.WithOpaqueTokens(),
		)
		r = newRigOf(t, server, nil, certtoken.WithStore(store, storeSecret))
		tok, err := r.acquire(
			t,
			certtoken.AuthorizationCode(server.AuthorizationCode(signIn("read", "offline_access")), callback, verifier),
		)
		require.NoError(t, err)
		for range 3 {
			next, err := r.acquire(t, certtoken.RefreshToken(tok.RefreshToken()))
			require.NoError(t, err)
			assert.NotEqual(t, tok.RefreshToken(), next.RefreshToken())
			_, err = r.acquire(t, certtoken.RefreshToken(tok.RefreshToken()))
			assert.Error(t, err)
			tok = next
		}
	})
}

// A code is sent again only where it can't have been redeemed.
func TestRedemptionIsRepeatedWithCare(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	cases := map[string]struct {
		fault    certtokentest.Fault
		err      error // instead of an answer
		requests int
	}{
		"throttled": {fault: certtokentest.Throttle(time.Second), requests: 2},
		"refused":   {err: refused, requests: 2},
		"read failed": {
			err:      &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")},
			requests: 1,
		},
		"some other error": {err: io.ErrUnexpectedEOF, requests: 1},
		"unavailable":      {fault: certtokentest.Fault{Status: 503}, requests: 1},
		"a fault":          {fault: certtokentest.Fault{Status: 500}, requests: 1},
		"bad gateway":      {fault: certtokentest.Fault{Status: 502}, requests: 1},
		"timeout":          {fault: certtokentest.Fault{Status: 504}, requests: 1},
		"transient":        {fault: certtokentest.Fault{Code: 90033}, requests: 1},
		"the client":       {fault: certtokentest.Fault{Code: 700027}, requests: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := certtokentest.New(certtokentest.WithOpaqueTokens())
				var sent atomic.Int32
				hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
					if sent.Add(1) == 1 && c.err != nil {
						return nil, c.err
					}
					return server.Transport().RoundTrip(req)
				})}
				r := newRigOf(t, server, nil, certtoken.WithHTTPClient(hc))
				grant := certtoken.AuthorizationCode(server.AuthorizationCode(signIn(userRead)), callback, verifier)
				if c.err == nil {
					server.Fail(c.fault)
				}
				_, err := r.acquire(t, grant)
				assert.EqualValues(t, c.requests, sent.Load())
				assert.Equal(t, c.requests > 1, err == nil, "%v", err)
			})
		})
	}
}

// A clock that is off is mended: the client was refused, and the code not looked at.
func TestRedemptionWithAClockThatIsOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.SetClockOffset(3 * time.Hour)
		tok, err := r.acquire(
			t,
			certtoken.AuthorizationCode(r.server.AuthorizationCode(signIn(userRead)), callback, verifier),
		)
		require.NoError(t, err)
		assert.Equal(t, 2, r.server.Count())
		assert.Empty(t, tok.RefreshToken(), "offline_access was not asked for")
	})
}

// A caller that leaves has its error at once; Close ends what is under way.
func TestRedemptionAndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: 9 * time.Second})
		done := make(chan error)
		go func() {
			_, err := r.acquire(t, certtoken.RefreshToken("some-refresh-token"))
			done <- err
		}()
		time.Sleep(time.Second)
		require.NoError(t, r.client.Close())
		assert.ErrorIs(t, <-done, certtoken.ErrClosed)
		_, err := r.acquire(t, certtoken.RefreshToken("some-refresh-token"))
		assert.ErrorIs(t, err, certtoken.ErrClosed)
	})
}

// A client that acts as itself keeps no refresh token, whatever a server sends.
func TestNoRefreshTokenForTheClientItself(t *testing.T) {
	client := newStubClient(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
			Body: io.NopCloser(
				strings.NewReader(`{"access_token":"a","expires_in":3600,"refresh_token":"r","id_token":"i"}`),
			),
		}, nil
	}))
	own, err := client.Token(t.Context(), graph)
	require.NoError(t, err)
	assert.Empty(t, own.RefreshToken()+own.IDToken())
	users, err := client.Acquire(
		t.Context(),
		certtoken.Request{Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("some-user")},
	)
	require.NoError(t, err)
	assert.Equal(t, "ri", users.RefreshToken()+users.IDToken())
	assert.Nil(t, users.Extra("refresh_token"))
	assert.Empty(t, new(certtoken.Token).RefreshToken()+new(certtoken.Token).IDToken())
}

func TestGrantsShowNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSecretive(t, nil)
		assertion, code := s.server.UserToken(
			user,
			appID,
		), s.server.AuthorizationCode(
			signIn(userRead, "offline_access", "openid"),
		)
		s.watch.assertion(assertion)
		s.watch.text("a code", code)
		s.watch.text("a code verifier", verifier)
		show := func(grant certtoken.Grant) *certtoken.Token {
			req := certtoken.Request{Scopes: []string{userRead, "offline_access", "openid"}, Grant: grant}
			print(s.watch, grant)
			dump(s.watch, grant)
			print(s.watch, req)
			dump(s.watch, req)
			tok, err := s.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			for _, secret := range []string{tok.RefreshToken(), tok.IDToken()} {
				if secret != "" {
					s.watch.text("a user's secret", secret)
				}
			}
			print(s.watch, tok)
			dump(s.watch, tok)

			// The server repeats everything that it was sent.
			echoed := func(req *certtokentest.Request) *certtokentest.Fault {
				return &certtokentest.Fault{
					Code:        70000,
					Description: "you sent " + fmt.Sprint(req.Form) + " " + req.Form.Encode(),
				}
			}
			s.server.FailFunc(echoed)
			_, err = s.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{vault}, Grant: grant})
			s.printError(t, err)
			s.server.FailFunc(nil)
			return tok
		}
		show(certtoken.OnBehalfOf(assertion))
		tok := show(certtoken.AuthorizationCode(code, callback, verifier))
		show(certtoken.RefreshToken(tok.RefreshToken()))
		print(s.watch, s.client)
		s.check(t)
	})
}

// Nor does a RoundTripper that puts the form into its error.
func TestBrokenTransportShowsNoGrant(t *testing.T) {
	client := newStubClient(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(req.Body)
		form, _ := url.ParseQuery(string(body))
		return nil, fmt.Errorf("could not send %s, which is %v", body, form)
	}))
	const code = "0.a/code+with=odd~characters"
	_, err := client.Acquire(
		t.Context(),
		certtoken.Request{Grant: certtoken.AuthorizationCode(code, callback, verifier)},
	)
	require.Error(t, err)
	for e := range chainOf(err) {
		assert.NotContains(t, e.Error(), code)
		assert.NotContains(t, e.Error(), url.QueryEscape(code))
		assert.NotContains(t, e.Error(), verifier)
	}
}
