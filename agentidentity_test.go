package certtoken_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	agentID     = "aaaaaaaa-0000-4000-8000-000000000001"
	otherAgent  = "aaaaaaaa-0000-4000-8000-000000000002"
	agentUser   = "agent-ada@contoso.com"
	homeTenant  = "fabrikam.onmicrosoft.com"
	exchangeAll = certtokentest.ExchangeAudience + "/.default"
)

// agentRig joins a blueprint to Entra ID, with an agent in its own tenant and one in
// another.
func agentRig(t testing.TB, opts ...certtoken.Option) *rig {
	t.Helper()
	r := newRigOf(t, certtokentest.New(certtokentest.WithTokenLifetime(time.Hour)), nil, opts...)
	r.server.RegisterAgent(certtokentest.Agent{
		ID: agentID, Blueprint: appID, Tenant: certtokentest.DefaultTenant, Users: []string{agentUser},
	})
	r.server.RegisterAgent(certtokentest.Agent{ID: otherAgent, Blueprint: appID, Tenant: homeTenant})
	return r
}

// The three legs of agent identities, against an endpoint that checks them.
func TestAgentIdentities(t *testing.T) {
	type leg struct{ client, grant string }
	first, second := leg{appID, "client_credentials"}, leg{agentID, "client_credentials"}
	cases := map[string]struct {
		request func(r *rig) certtoken.Request
		opts    []certtoken.Option
		legs    []leg
		says    string
	}{
		"app-only": {
			request: func(*rig) certtoken.Request { return certtoken.Request{Agent: agentID, Scopes: []string{graph}} },
			legs:    []leg{first, second},
		},
		"on behalf of a user": {
			request: func(r *rig) certtoken.Request {
				return certtoken.Request{
					Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID)),
				}
			},
			legs: []leg{first, {agentID, "urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		},
		"as its own user": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.AgentUser(agentUser)}
			},
			legs: []leg{first, second, {agentID, "user_fic"}},
		},
		"as its own user, by id": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{
					Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.AgentUser(certtokentest.UserID(agentUser)),
				}
			},
			legs: []leg{first, second, {agentID, "user_fic"}},
		},
		"in its own tenant": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: otherAgent, Tenant: homeTenant, Scopes: []string{graph}}
			},
			opts: []certtoken.Option{certtoken.WithTenants(homeTenant)},
			legs: []leg{first, {otherAgent, "client_credentials"}},
		},
		"in another tenant": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: otherAgent,
					Scopes: []string{graph}}
			},
			says: "AADSTS700211",
		},
		"tenant not allowed": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: otherAgent, Tenant: homeTenant, Scopes: []string{graph}}
			},
			says: "not allowed: name it in WithTenants",
		},
		"unknown": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: "nobody",
					Scopes: []string{graph}}
			},
			says: "assertion for the agent nobody",
		},
		"another's user": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.AgentUser("eve@x.example")}
			},
			says: "has no such user",
		},
		"a user's token for somebody else": {
			request: func(r *rig) certtoken.Request {
				return certtoken.Request{
					Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.OnBehalfOf(r.server.UserToken(user, "other")),
				}
			},
			says: "AADSTS500131",
		},
		"user without agent": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser)}
			},
			says: "name the agent",
		},
		"path given": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{
					Agent: agentID, Scopes: []string{graph}, Parameters: url.Values{"fmi_path": {otherAgent}},
				}
			},
			says: `parameter "fmi_path" is sent for Request.Agent`,
		},
		"user given": {
			request: func(*rig) certtoken.Request {
				return certtoken.Request{
					Agent: agentID, Scopes: []string{userRead},
					Grant:      certtoken.AgentUser(certtokentest.UserID(agentUser)),
					Parameters: url.Values{"user_id": {certtokentest.UserID("eve")}},
				}
			},
			says: `parameter "user_id" is set by the grant AgentUser`,
		},
		"no client id": {
			request: func(*rig) certtoken.Request { return certtoken.Request{Agent: "a b", Scopes: []string{graph}} },
			says:    "is not a client id",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := agentRig(t, c.opts...)
			req := c.request(r)
			tok, err := r.client.Acquire(t.Context(), req)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			var legs []leg
			for _, sent := range r.server.Requests() {
				legs = append(legs, leg{sent.ClientID, sent.Form.Get("grant_type")})
			}
			assert.Equal(t, c.legs, legs)
			again, err := r.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			assert.Same(t, tok, again, "a hit costs nothing")
			assert.Len(t, r.server.Requests(), len(c.legs))
		})
	}
}

// Agents are for Entra ID.
func TestAgentsElsewhere(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	for says, authority := range map[string]certtoken.Authority{
		"is for agent identities of Entra ID": certtoken.Issuer("https://i.example", "https://i.example/t"),
		"WithMTLSPoP binds their tokens":      certtoken.Entra("contoso.com", certtoken.WithCertificateBoundTokens()),
		"is not known": certtoken.Entra("contoso.com",
			certtoken.WithHost("login.sovcloud-identity.fr")),
	} {
		client, err := certtoken.NewClient(authority, appID, cert)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		_, err = client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{graph}})
		require.ErrorContains(t, err, says)
	}
}

// An agent costs its leg once, however many tokens it gets, and the leg is renewed with
// the rest.
func TestLegsAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := agentRig(t)
		scopes := []string{graph, vault, "https://a.example/.default", "https://b.example/.default"}
		var all sync.WaitGroup
		for _, scope := range scopes {
			for range 20 {
				all.Go(func() {
					_, err := r.client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{scope}})
					assert.NoError(t, err)
				})
			}
		}
		all.Wait()
		assert.Len(t, r.server.Requests(), 1+len(scopes))
		time.Sleep(2 * time.Hour)
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{graph}})
		require.NoError(t, err)
		assert.Len(t, r.server.Requests(), 1+len(scopes)+2)
	})
}

// A leg that is refused is acquired anew, once, and shown again.
func TestARefusedLegIsRenewed(t *testing.T) {
	r := agentRig(t)
	_, err := r.client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{graph}})
	require.NoError(t, err)
	r.server.Fail(certtokentest.Fault{Code: 700027})
	_, err = r.client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{vault}})
	require.NoError(t, err)
	assert.Len(t, r.server.Requests(), 5, "two, the refused one, a new leg, and the second try")
}

// The blueprint's refresh tokens and codes work for its agents, with the leg as proof.
func TestAgentRefreshes(t *testing.T) {
	r := agentRig(t)
	req := certtoken.Request{
		Agent: agentID, Scopes: []string{userRead, "offline_access"},
		Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID)),
	}
	tok, err := r.client.Acquire(t.Context(), req)
	require.NoError(t, err)
	require.NotEmpty(t, tok.RefreshToken())
	req.Grant = certtoken.RefreshToken(tok.RefreshToken())
	_, err = r.client.Acquire(t.Context(), req)
	require.NoError(t, err)
	assert.Len(t, r.server.Requests(), 3, "the leg is the one before")
}

// A federated client, such as one with a managed identity, is a blueprint too.
func TestFederatedBlueprint(t *testing.T) {
	server := certtokentest.New()
	provider := certtokentest.NewIdentityProvider("https://ci.example")
	server.Federate(appID, provider.Federation("repo", certtokentest.ExchangeAudience))
	server.RegisterAgent(certtokentest.Agent{ID: agentID, Blueprint: appID, Tenant: certtokentest.DefaultTenant})
	client, err := certtoken.NewFederatedClient(server.Authority(), appID, certtoken.AssertionSourceFunc(
		func(_ context.Context, audience string) (string, error) {
			return provider.Assertion("repo", audience, time.Hour), nil
		}), certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	_, err = client.Acquire(t.Context(), certtoken.Request{Agent: agentID, Scopes: []string{graph}})
	require.NoError(t, err)
}

// No two of agent, user, parameters and tenant share a token, with a store that two
// clients have in common.
func TestIsolationOfAgents(t *testing.T) {
	store := certtoken.NewMemoryStore()
	opts := []certtoken.Option{
		certtoken.WithTenants(homeTenant), certtoken.WithStore(store, []byte("0123456789abcdef0123456789abcdef")),
	}
	r := agentRig(t, opts...)
	second, err := certtoken.NewClient(r.server.Authority(), appID, r.cert,
		append(opts, certtoken.WithHTTPClient(r.server.Client()))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, second.Close()) })

	users := []string{"", agentUser, certtokentest.UserID(agentUser)}
	var requests []certtoken.Request
	for _, of := range []struct{ agent, tenant string }{
		{"", ""}, {"", homeTenant}, {agentID, ""}, {otherAgent, homeTenant},
	} {
		for _, name := range users {
			if name != "" && of.agent != agentID {
				continue
			}
			for _, parameters := range []url.Values{nil, {"a": {"b"}}, {"a": {"bc"}}, {"ab": {"c"}}} {
				req := certtoken.Request{Agent: of.agent, Tenant: of.tenant, Parameters: parameters,
					Scopes: []string{graph}}
				if name != "" {
					req.Grant = certtoken.AgentUser(name)
				}
				requests = append(requests, req)
			}
		}
	}
	var mu sync.Mutex
	owner := make(map[string]int)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, i := range rand.Perm(len(requests)) {
				client := r.client
				if rand.IntN(2) == 0 {
					client = second
				}
				tok, err := client.Acquire(t.Context(), requests[i])
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				before, ok := owner[tok.AccessToken()]
				assert.True(t, !ok || before == i, "%d and %d share a token", before, i)
				owner[tok.AccessToken()] = i
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// A hit for an agent allocates nothing, and hooks are told whose it is.
func TestHitOfAnAgentAllocatesNothing(t *testing.T) {
	var mu sync.Mutex
	told := make(map[string]bool)
	r := agentRig(t, certtoken.WithHooks(certtoken.Hooks{Miss: func(e certtoken.Event) {
		mu.Lock()
		defer mu.Unlock()
		told[fmt.Sprint(e.Agent, e.Parameters)] = true
	}}))
	for _, req := range []certtoken.Request{
		{Agent: agentID, Scopes: []string{graph}},
		{Agent: agentID, Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser)},
	} {
		_, err := r.client.Acquire(t.Context(), req)
		require.NoError(t, err)
		ctx := t.Context()
		assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = r.client.Acquire(ctx, req) }))
	}
	assert.Equal(t, map[string]bool{agentID + "[]": true, "[fmi_path]": true}, told)
}

// The requests of all legs, as they go over the wire.
func TestAgentLegsAsSent(t *testing.T) {
	r := agentRig(t)
	req := certtoken.Request{Agent: agentID, Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser)}
	_, err := r.client.Acquire(t.Context(), req)
	require.NoError(t, err)
	sent := r.server.Requests()
	require.Len(t, sent, 3)
	const bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	want := []url.Values{
		{"client_id": {appID}, "client_assertion": {sent[0].Assertion}, "fmi_path": {agentID}, "scope": {exchangeAll},
			"grant_type": {"client_credentials"}},
		{"client_id": {agentID}, "client_assertion": {sent[0].AccessToken}, "scope": {exchangeAll},
			"grant_type": {"client_credentials"}},
		{"client_id": {agentID}, "client_assertion": {sent[0].AccessToken}, "scope": {userRead},
			"grant_type": {"user_fic"}, "user_federated_identity_credential": {sent[1].AccessToken},
			"username": {agentUser}, "requested_token_use": {"on_behalf_of"}},
	}
	for i := range want {
		want[i].Set("client_assertion_type", bearer)
		assert.Equal(t, want[i], sent[i].Form, i)
	}
}

// BenchmarkHitOfAnAgent compares a hit for an agent with one of the client's own.
func BenchmarkHitOfAnAgent(b *testing.B) {
	r := agentRig(b)
	for name, req := range map[string]certtoken.Request{
		"own":   {Scopes: []string{graph}},
		"agent": {Agent: agentID, Scopes: []string{graph}},
		"user":  {Agent: agentID, Scopes: []string{graph}, Grant: certtoken.AgentUser(agentUser)},
	} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			_, err := r.client.Acquire(ctx, req)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.client.Acquire(ctx, req)
			}
		})
	}
}
