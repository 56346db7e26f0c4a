package certtoken_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const tokenTypes = "urn:ietf:params:oauth:token-type:"

// genericRig joins a client to a server of its own issuer.
func genericRig(t testing.TB, issuer string, opts ...certtokentest.Option) *rig {
	t.Helper()
	return newRigOf(t, certtokentest.New(append([]certtokentest.Option{
		certtokentest.WithIssuer(issuer), certtokentest.WithTokenLifetime(time.Hour),
	}, opts...)...), nil)
}

// idToken signs a user in and returns their ID token.
func (r *rig) idToken(t testing.TB) string {
	t.Helper()
	tok, err := r.acquire(t, certtoken.AuthorizationCode(
		r.server.AuthorizationCode(signIn("openid")), callback, verifier))
	require.NoError(t, err)
	require.NotEmpty(t, tok.IDToken())
	return tok.IDToken()
}

// Every form of an exchange against an endpoint that checks it.
func TestTokenExchange(t *testing.T) {
	access := func(_ *testing.T, r *rig) certtoken.Grant {
		return certtoken.TokenExchange(r.server.UserToken(user, appID), "access_token")
	}
	byID := func(t *testing.T, r *rig) certtoken.Grant { return certtoken.TokenExchange(r.idToken(t), "id_token") }
	requested := func(typ string, more ...string) url.Values {
		values := url.Values{"requested_token_type": {typ}}
		for i := 0; i < len(more); i += 2 {
			values.Add(more[i], more[i+1])
		}
		return values
	}
	cases := map[string]struct {
		grant      func(*testing.T, *rig) certtoken.Grant
		parameters url.Values
		says       string // that the error contains
		issued     string // issued_token_type
		typ        string // of the token; "": Bearer
	}{
		"access token": {grant: access, issued: "access_token"},
		"its type as a URI": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.server.UserToken(user, appID), tokenTypes+"access_token")
		}, issued: "access_token"},
		"for several resources": {
			grant: access, parameters: url.Values{"resource": {"https://a.example/", "https://b.example/"}},
			issued: "access_token",
		},
		"app's own": {grant: func(t *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.token(t, "read").AccessToken(), "access_token")
		}, issued: "access_token"},
		"with an actor": {grant: func(t *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.server.UserToken(user, appID), "access_token").
				WithActor(r.token(t, "read").AccessToken(), "access_token")
		}, issued: "access_token"},
		"a JWT":           {grant: access, parameters: requested(tokenTypes + "jwt"), issued: "jwt"},
		"access, by name": {grant: access, parameters: requested(tokenTypes + "access_token"), issued: "access_token"},
		"ID token": {
			grant: byID, parameters: requested(tokenTypes+"id_token", "audience", "other"), issued: "id_token",
			typ: "N_A",
		},
		"ID-JAG": {
			grant: byID,
			parameters: requested(tokenTypes+"id-jag", "audience", "https://api.example", "resource",
				"https://api.example/mcp"),
			issued: "id-jag", typ: "N_A",
		},
		"ID-JAG for an access token": {
			grant: access, parameters: requested(tokenTypes+"id-jag", "audience", "https://api.example"),
			says: "An ID-JAG is issued for an ID token",
		},
		"SAML":            {grant: access, parameters: requested(tokenTypes + "saml2"), says: "can't be issued"},
		"short requested": {grant: access, parameters: requested("id-jag"), says: "requested_token_type is not a URI"},
		"for another app": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.server.UserToken(user, "other"), "access_token")
		}, says: "neither issued to the client"},
		"made up": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.TokenExchange("made-up-token", "access_token")
		}, says: "doesn't take the subject or actor token"},
		"revoked": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			token := r.server.UserToken(user, appID)
			r.server.Revoke(token)
			return certtoken.TokenExchange(token, "access_token")
		}, says: "in force"},
		"actor made up": {grant: func(_ *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.server.UserToken(user, appID), "access_token").WithActor("made-up", "jwt")
		}, says: "The actor_token is not"},
		"another type": {grant: func(t *testing.T, r *rig) certtoken.Grant {
			return certtoken.TokenExchange(r.idToken(t), "jwt")
		}, says: "in force"},
		"empty": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.TokenExchange("", "jwt")
		}, says: "the subject token is empty"},
		"without type": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.TokenExchange("a", "")
		}, says: "type of the subject token is empty"},
		"unfit type": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.TokenExchange("a", "a b")
		}, says: "is not a URI"},
		"unfit actor": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.TokenExchange("a", "jwt").WithActor("b\n", "jwt")
		}, says: "the actor token has characters"},
		"actor of OBO": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.OnBehalfOf("a").WithActor("b", "jwt")
		}, says: "WithActor is for TokenExchange"},
		"actor of none": {grant: func(*testing.T, *rig) certtoken.Grant {
			return certtoken.Grant{}.WithActor("b", "jwt")
		}, says: "WithActor is for TokenExchange"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := genericRig(t, "")
			req := certtoken.Request{Scopes: []string{"read"}, Grant: c.grant(t, r), Parameters: c.parameters}
			tok, err := r.client.Acquire(t.Context(), req)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tokenTypes+c.issued, tok.Extra("issued_token_type"))
			want := "Bearer"
			if c.typ != "" {
				want = c.typ
			}
			assert.Equal(t, want, tok.Type())
			again, err := r.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			assert.Same(t, tok, again, "it is cached")
		})
	}
}

// Tokens are cached by the whole input of an exchange.
func TestExchangesAreCachedApart(t *testing.T) {
	r := genericRig(t, "")
	ada, bob := r.server.UserToken("ada", appID), r.server.UserToken("bob", appID)
	actor := r.token(t, "read").AccessToken()
	id := r.idToken(t)
	requests := []certtoken.Request{
		{Grant: certtoken.TokenExchange(ada, "access_token")},
		{Grant: certtoken.TokenExchange(ada, "jwt")},
		{Grant: certtoken.TokenExchange(bob, "access_token")},
		{Grant: certtoken.TokenExchange(ada, "access_token").WithActor(actor, "access_token")},
		{Grant: certtoken.TokenExchange(ada, "access_token").WithActor(actor, "jwt")},
		{Grant: certtoken.TokenExchange(ada, "access_token").WithActor(bob, "jwt")},
		{Grant: certtoken.TokenExchange(bob, "access_token").WithActor(ada, "jwt")},
		{Grant: certtoken.TokenExchange(ada, "access_token"), Parameters: url.Values{"audience": {"a"}}},
		{Grant: certtoken.TokenExchange(ada, "access_token"), Parameters: url.Values{"audience": {"b"}}},
		{Grant: certtoken.TokenExchange(ada, "access_token"), Scopes: []string{"write"}},
		{Grant: certtoken.TokenExchange(id, "id_token")},
		{Grant: certtoken.BearerAssertion("eyJhbGciOiJub25lIn0.e30.e30")}, // refused, whatever else is cached
	}
	seen := make(map[string]int)
	for i, req := range requests {
		tok, err := r.client.Acquire(t.Context(), req)
		if i == len(requests)-1 {
			require.Error(t, err)
			break
		}
		require.NoError(t, err, i)
		before, ok := seen[tok.AccessToken()]
		assert.False(t, ok, "%d and %d share a token", before, i)
		seen[tok.AccessToken()] = i
	}
}

// What a server answers to an exchange, and what becomes of it.
func TestWhatAnExchangeIssues(t *testing.T) {
	const id, jag = tokenTypes + "id_token", tokenTypes + "id-jag"
	cases := map[string]struct {
		requested, issued, typ string
		want                   string // the token's type; "": refused
		says                   string
	}{
		"access":              {"", tokenTypes + "access_token", "Bearer", "Bearer", ""},
		"not said":            {"", "", "Bearer", "Bearer", ""},
		"JWT":                 {"", tokenTypes + "jwt", "Bearer", "Bearer", ""},
		"JWT where access":    {tokenTypes + "access_token", tokenTypes + "jwt", "Bearer", "Bearer", ""},
		"unknown":             {"", "urn:example:own", "bearer", "Bearer", ""},
		"no access":           {"", jag, "N_A", "", "it issued no access token"},
		"no access, in small": {"", "", "n_a", "", "it issued no access token"},
		"no access, hidden":   {"", id, "Bearer", "", "it issued no access token"},
		"not what was asked":  {jag, id, "N_A", "", "where urn:ietf:params:oauth:token-type:id-jag was asked for"},
		"refresh where access": {tokenTypes + "access_token", tokenTypes + "refresh_token", "N_A", "",
			"it issued a token of the type"},
		"N_A where access":      {tokenTypes + "access_token", "", "N_A", "", "it issued no access token"},
		"as asked":              {jag, jag, "N_A", "N_A", ""},
		"as asked, not said":    {jag, "", "N_A", "N_A", ""},
		"as asked, called so":   {id, id, "Bearer", "N_A", ""},
		"JWT that is no access": {tokenTypes + "jwt", tokenTypes + "jwt", "N_A", "N_A", ""},
		"own type":              {"urn:example:own", "urn:example:own", "N_A", "N_A", ""},
		"own type, Bearer":      {"urn:example:own", "urn:example:own", "Bearer", "Bearer", ""},
		"bound":                 {"", tokenTypes + "access_token", "DPoP", "", `of type "DPoP"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"access_token":"abc","token_type":%q,"issued_token_type":%q,"expires_in":60}`, c.typ,
				c.issued)
			client := issuerClient(t, answering(200, "application/json", body))
			req := certtoken.Request{Grant: certtoken.TokenExchange("subject", "jwt")}
			if c.requested != "" {
				req.Parameters = url.Values{"requested_token_type": {c.requested}}
			}
			tok, err := client.Acquire(t.Context(), req)
			if c.want == "" {
				require.ErrorIs(t, err, certtoken.ErrBadResponse)
				assert.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, tok.Type())
			assert.Equal(t, "abc", tok.AccessToken())
		})
	}
	_, err := issuerClient(t, answering(200, "application/json",
		`{"access_token":"abc","token_type":"N_A","expires_in":60}`)).Token(t.Context(), "read")
	require.ErrorIs(t, err, certtoken.ErrBadResponse, "other grants never get such a token")
}

// What is no access token is sent to no resource.
func TestNoAccessTokenIsNeverSent(t *testing.T) {
	r := genericRig(t, "")
	req := certtoken.Request{
		Grant:      certtoken.TokenExchange(r.idToken(t), "id_token"),
		Parameters: url.Values{"requested_token_type": {tokenTypes + "id-jag"}, "audience": {"https://api.example"}},
	}
	tok, err := r.client.Acquire(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, "N_A", tok.Type())

	call, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
	require.NoError(t, err)
	require.ErrorContains(t, tok.SetAuthHeader(call), "no access token")
	assert.Empty(t, call.Header)

	source, err := r.client.TokenSourceFor(req)
	require.NoError(t, err)
	for range 2 {
		_, err = source.Token()
		require.ErrorContains(t, err, "no access token")
	}

	sent := 0
	base := roundTripFunc(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	_, err = (&certtoken.Transport{Client: r.client, Base: base, Request: req}).RoundTrip(call)
	require.ErrorContains(t, err, "no access token")
	assert.NotContains(t, err.Error(), tok.AccessToken())
	assert.Zero(t, sent)
}

// An identity provider's assertion for a user is taken by another server (ID-JAG).
func TestIdentityAssertionForAnotherServer(t *testing.T) {
	idp, api := genericRig(t, "https://idp.example"), genericRig(t, "https://api.example")
	api.server.TrustIssuer(idp.server.Issuer(), idp.server.PublicKey())
	exchange := certtoken.Request{
		Scopes: []string{"read"}, Grant: certtoken.TokenExchange(idp.idToken(t), "id_token"),
		Parameters: url.Values{"requested_token_type": {tokenTypes + "id-jag"}, "audience": {api.server.Issuer()}},
	}
	jag, err := idp.client.Acquire(t.Context(), exchange)
	require.NoError(t, err)
	tok, err := api.acquire(t, certtoken.BearerAssertion(jag.AccessToken()))
	require.NoError(t, err)
	assert.Equal(t, []string{"read"}, tok.Scopes())
	last := api.server.Requests()[len(api.server.Requests())-1]
	assert.Equal(t, user, last.GrantClaims["sub"])
	assert.NotEmpty(t, last.Assertion, "the client proves itself too")
	again, err := api.acquire(t, certtoken.BearerAssertion(jag.AccessToken()))
	require.NoError(t, err)
	assert.Same(t, tok, again)

	exchange.Parameters.Set("audience", "https://elsewhere.example")
	other, err := idp.client.Acquire(t.Context(), exchange)
	require.NoError(t, err)
	_, err = api.acquire(t, certtoken.BearerAssertion(other.AccessToken()))
	require.ErrorContains(t, err, "audience")
	stranger := genericRig(t, "https://stranger.example")
	_, err = stranger.acquire(t, certtoken.BearerAssertion(jag.AccessToken()))
	require.ErrorContains(t, err, "neither the client nor a trusted issuer")
	assert.NotContains(t, err.Error(), jag.AccessToken())
}

// A renewal exchanges the caller's token again, behind the caller.
func TestAnExchangedTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := genericRig(t, "")
		grant := certtoken.TokenExchange(r.token(t, "read").AccessToken(), "access_token")
		first, err := r.acquire(t, grant, "write")
		require.NoError(t, err)
		time.Sleep(time.Until(first.RenewAt()) + time.Second)
		r.server.SetLifetime(2 * time.Hour)
		same, err := r.acquire(t, grant, "write")
		require.NoError(t, err)
		assert.Same(t, first, same)
		synctest.Wait()
		next, err := r.acquire(t, grant, "write")
		require.NoError(t, err)
		assert.NotSame(t, first, next)
	})
}

// No form of a grant shows its secrets.
func TestExchangeShowsNoSecret(t *testing.T) {
	grant := certtoken.TokenExchange("subject-secret", "jwt").WithActor("actor-secret", "jwt")
	text := fmt.Sprintf("%v %+v %#v %s %q", grant, grant, grant, grant, grant)
	assert.NotContains(t, text, "secret")
	assert.True(t, strings.HasPrefix(text, "certtoken.Grant(TokenExchange)"), text)
	r := genericRig(t, "")
	r.server.Fail(certtokentest.Fault{Code: 70000, Description: "subject-secret and actor-secret were sent"})
	_, err := r.acquire(t, grant)
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", err), "-secret")
}
