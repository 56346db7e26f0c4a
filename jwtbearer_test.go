package certtoken_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const salesforce = "https://login.salesforce.example"

// grantRig joins a client that has no proof of its own to a server that wants none.
func grantRig(t testing.TB, server *certtokentest.Server, opts ...certtoken.AuthorityOption) *rig {
	t.Helper()
	r := &rig{server: server, cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
	server.Register(appID, r.cert.Leaf)
	opts = append([]certtoken.AuthorityOption{certtoken.WithoutClientAuthentication()}, opts...)
	client, err := certtoken.NewClient(certtoken.Issuer(server.Issuer(), server.TokenURL(), opts...), appID, r.cert,
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	r.client = client
	return r
}

// An assertion that the client signs for a user, as the servers that know it want it.
func TestJWTBearer(t *testing.T) {
	const docusign = "account-d.docusign.com"
	cases := map[string]struct {
		server    []certtokentest.Option
		authority []certtoken.AuthorityOption
		proves    bool // the client proves itself too
		assertion certtoken.Assertion
		claims    map[string]any // of the assertion
		says      string
	}{
		"Salesforce": {
			server:    []certtokentest.Option{certtokentest.WithGrantOnly(), certtokentest.WithAudiences(salesforce)},
			assertion: certtoken.Assertion{Subject: user, Audience: salesforce, Lifetime: 3 * time.Minute},
			claims:    map[string]any{"iss": appID, "sub": user, "aud": salesforce},
		},
		"DocuSign": {
			server: []certtokentest.Option{certtokentest.WithGrantOnly(), certtokentest.WithAudiences(docusign)},
			assertion: certtoken.Assertion{
				Subject: user, Audience: docusign, Lifetime: time.Hour, Algorithm: certtoken.RS256,
				Claims: map[string]any{"scope": "signature impersonation"},
			},
			claims: map[string]any{"sub": user, "aud": docusign, "scope": "signature impersonation"},
		},
		"of the authority": {
			server:    []certtokentest.Option{certtokentest.WithGrantOnly()},
			assertion: certtoken.Assertion{Subject: user},
			claims:    map[string]any{"iss": appID, "sub": user, "aud": "https://issuer.example"},
		},
		"itself": {
			server: []certtokentest.Option{certtokentest.WithGrantOnly()},
			claims: map[string]any{"iss": appID, "sub": appID},
		},
		"beside the client's proof": {
			proves: true, assertion: certtoken.Assertion{Subject: user}, claims: map[string]any{"sub": user},
		},
		"own issuer": {
			server:    []certtokentest.Option{certtokentest.WithGrantOnly()},
			assertion: certtoken.Assertion{ClientID: "stranger", Subject: user},
			says:      "neither the client nor a trusted issuer",
		},
		"another audience": {
			server:    []certtokentest.Option{certtokentest.WithGrantOnly()},
			assertion: certtoken.Assertion{Subject: user, Audience: "account.docusign.com"},
			says:      "compare its Audience, Subject, ClientID, KeyID and Claims",
		},
		"proof wanted": {assertion: certtoken.Assertion{Subject: user}, says: "beside the grant's 'assertion'"},
		"of a client's type": {
			server:    []certtokentest.Option{certtokentest.WithGrantOnly()},
			assertion: certtoken.Assertion{Subject: user, Type: "client-authentication+jwt"}, says: "typ header value",
		},
		"sub as a claim": {
			assertion: certtoken.Assertion{Claims: map[string]any{"sub": user}},
			says:      `claim "sub" is set by the library`,
		},
		"odd lifetime": {assertion: certtoken.Assertion{Lifetime: 2 * time.Hour},
			says: "lifetime 2h0m0s is not within"},
		"claims that are no JSON": {
			assertion: certtoken.Assertion{Claims: map[string]any{"f": func() {}}}, says: "can't be written as JSON",
		},
		"an algorithm of another key": {
			assertion: certtoken.Assertion{Subject: user, Algorithm: certtoken.ES256},
			says:      "ES256",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := certtokentest.New(append(c.server, certtokentest.WithIssuer(""))...)
			r := grantRig(t, server, c.authority...)
			if c.proves {
				r = newRigOf(t, server, nil)
			}
			tok, err := r.acquire(t, certtoken.JWTBearer(c.assertion))
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			last := server.Requests()[len(server.Requests())-1]
			for claim, want := range c.claims {
				assert.Equal(t, want, last.GrantClaims[claim], claim)
			}
			assert.Equal(t, "JWT", last.GrantHeader["typ"])
			assert.Equal(t, c.proves, last.Assertion != "")
			assert.Equal(t, c.proves, last.Form.Has("client_id"))
			assert.False(t, last.Form.Has("requested_token_use"))
			again, err := r.acquire(t, certtoken.JWTBearer(c.assertion))
			require.NoError(t, err)
			assert.Same(t, tok, again, "it is cached")
		})
	}
}

// The scope of the assertion is what is granted where the request names none.
func TestScopeAsAClaim(t *testing.T) {
	r := grantRig(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithGrantOnly()))
	tok, err := r.acquire(t, certtoken.JWTBearer(certtoken.Assertion{
		Subject: user, Claims: map[string]any{"scope": "signature impersonation"},
	}))
	require.NoError(t, err)
	assert.Equal(t, []string{"signature", "impersonation"}, tok.Scopes())
}

// Tokens are cached by everything in the assertion, and the caller's map isn't read again.
func TestSignedGrantsAreCachedApart(t *testing.T) {
	r := grantRig(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithGrantOnly(),
		certtokentest.WithAudiences("a", "b")))
	claims := map[string]any{"scope": "one", "n": json.Number("12345678901234567890")}
	assertions := []certtoken.Assertion{
		{},
		{Subject: "ada"},
		{Subject: "bob"},
		{Subject: "ada", Audience: "a"},
		{Subject: "ada", Audience: "b"},
		{Subject: "ada", Claims: maps.Clone(claims)},
		{Subject: "ada", Claims: map[string]any{"scope": "two"}},
		{Subject: "ada", Lifetime: time.Minute},
	}
	seen := make(map[string]int)
	for i, a := range assertions {
		tok, err := r.acquire(t, certtoken.JWTBearer(a))
		require.NoError(t, err, i)
		before, ok := seen[tok.AccessToken()]
		assert.False(t, ok, "%d and %d share a token", before, i)
		seen[tok.AccessToken()] = i
	}

	grant := certtoken.JWTBearer(certtoken.Assertion{Subject: "ada", Claims: claims})
	claims["scope"] = "changed"
	tok, err := r.acquire(t, grant)
	require.NoError(t, err)
	assert.Equal(t, 5, seen[tok.AccessToken()], "what the caller changes later makes no difference")
	assert.Equal(t, []string{"one"}, tok.Scopes())
}

// The assertion of a grant follows the server's clock, and each attempt has another one.
func TestSignedGrantFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithGrantOnly(),
			certtokentest.WithClockOffset(-3*time.Minute))
		r := grantRig(t, server)
		_, err := r.acquire(t, certtoken.JWTBearer(certtoken.Assertion{Subject: user}))
		require.NoError(t, err)
		requests := server.Requests()
		require.Len(t, requests, 2)
		assert.NotEqual(t, requests[0].GrantClaims["jti"], requests[1].GrantClaims["jti"])
	})
}

// A user who hasn't allowed the client is refused in words that say so.
func TestUserHasNotConsented(t *testing.T) {
	server := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithGrantOnly())
	r := grantRig(t, server)
	server.AllowUsers(appID, "bob")
	_, err := r.acquire(t, certtoken.JWTBearer(certtoken.Assertion{Subject: user}))
	var refused *certtoken.TokenError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "invalid_grant", refused.Code)
	assert.Contains(t, refused.Advice(), "allow this client once")
	_, err = r.acquire(t, certtoken.JWTBearer(certtoken.Assertion{Subject: "bob"}))
	require.NoError(t, err)
}

// A client without a proof of its own has only the grants that are one.
func TestWithoutClientAuthentication(t *testing.T) {
	r := grantRig(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithGrantOnly()))
	for name, grant := range map[string]certtoken.Grant{
		"none": {}, "code": certtoken.AuthorizationCode("c", "", ""), "refresh": certtoken.RefreshToken("r"),
		"on behalf of": certtoken.OnBehalfOf("a"), "exchange": certtoken.TokenExchange("a", "jwt"),
	} {
		_, err := r.acquire(t, grant)
		require.ErrorContains(t, err, "WithoutClientAuthentication is for the grants", name)
	}
	require.NoError(t, r.client.Check(t.Context()), "it signs, and asks for nothing")
	assert.Empty(t, r.server.Requests())

	for name, authority := range map[string]certtoken.Authority{
		"Entra": certtoken.Entra("contoso.com", certtoken.WithoutClientAuthentication()),
		"ADFS":  certtoken.ADFS("adfs.example", certtoken.WithoutClientAuthentication()),
		"TLS": certtoken.Issuer("https://i.example", "https://i.example/t", certtoken.WithoutClientAuthentication(),
			certtoken.WithTLSClientAuth()),
	} {
		_, err := certtoken.NewClient(authority, appID, r.cert)
		require.ErrorContains(t, err, "WithoutClientAuthentication", name)
	}
	source := certtoken.AssertionFile("token")
	authority := certtoken.Issuer("https://i.example", "https://i.example/t", certtoken.WithoutClientAuthentication())
	_, err := certtoken.NewFederatedClient(authority, appID, source)
	require.ErrorContains(t, err, "leave WithoutClientAuthentication out")
}

// A federated client has no key to sign a grant with.
func TestFederatedClientSignsNoGrant(t *testing.T) {
	client, err := certtoken.NewFederatedClient(certtoken.Issuer("https://i.example", "https://i.example/t"), appID,
		certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
			return "eyJhbGciOiJub25lIn0.e30.e30", nil
		}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	_, err = client.Acquire(t.Context(),
		certtoken.Request{Grant: certtoken.JWTBearer(certtoken.Assertion{Subject: user})})
	require.ErrorContains(t, err, "no key to sign the assertion of JWTBearer")
}

// An assertion can be signed for a user without a client.
func TestAssertionForASubject(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	jwt, err := certtoken.Assertion{ClientID: appID, Subject: user, Audience: salesforce}.Sign(t.Context(), cert)
	require.NoError(t, err)
	_, body := decodedJWT(t, jwt)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(body, &claims))
	assert.Equal(t, []any{appID, user, salesforce}, []any{claims["iss"], claims["sub"], claims["aud"]})
}

// A hit of a signed grant or an exchange allocates nothing.
func TestHitOfAGrantAllocatesNothing(t *testing.T) {
	r := genericRig(t, "")
	for name, grant := range map[string]certtoken.Grant{
		"exchange":   certtoken.TokenExchange(r.server.UserToken(user, appID), "access_token"),
		"JWT bearer": certtoken.JWTBearer(certtoken.Assertion{Subject: user}),
	} {
		req := certtoken.Request{Scopes: []string{"read"}, Grant: grant}
		_, err := r.client.Acquire(t.Context(), req)
		require.NoError(t, err)
		ctx := t.Context()
		assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = r.client.Acquire(ctx, req) }), name)
	}
}
