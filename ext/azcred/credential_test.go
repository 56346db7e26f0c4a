package azcred_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
	"github.com/certtoken/certtoken/ext/azcred/internal/azcredtest"
)

func request(scopes ...string) policy.TokenRequestOptions {
	return policy.TokenRequestOptions{Scopes: scopes}
}

// What the SDK is told of a token is what the client knows of it.
func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New(
			certtokentest.WithTokenLifetime(time.Hour),
			certtokentest.WithRefreshIn(30*time.Minute),
		)
		client := azcredtest.NewClient(t, srv)
		got, err := azcredtest.NewCredential(t, client).GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		token, err := client.Token(t.Context(), azcredtest.Scope)
		require.NoError(t, err)
		assert.Equal(t, token.AccessToken(), got.Token)
		assert.True(t, got.ExpiresOn.Equal(token.ExpiresAt()))
		assert.True(t, got.RefreshOn.Equal(token.RenewAt()))
		assert.Equal(t, time.UTC, got.ExpiresOn.Location())
		assert.Equal(t, 1, srv.Count())
	})
}

// A caller that asks again at RefreshOn gets the valid token at once, and the newer
// one the next time.
func TestRenewalBehindTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv))
		first, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		time.Sleep(time.Until(first.RefreshOn))
		srv.Fail(certtokentest.Fault{Delay: 5 * time.Second})
		start := time.Now()
		again, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		assert.Equal(t, first.Token, again.Token)
		assert.Zero(t, time.Since(start))
		time.Sleep(6 * time.Second)
		next, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		assert.NotEqual(t, first.Token, next.Token)
		assert.True(t, next.RefreshOn.After(first.RefreshOn))
	})
}

// Claims go past the cache, and their token is everybody's from then on.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv, certtoken.WithCapabilities("cp1")))
		first, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		asked := request(azcredtest.Scope)
		asked.Claims = `{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}`
		second, err := credential.GetToken(t.Context(), asked)
		require.NoError(t, err)
		assert.NotEqual(t, first.Token, second.Token)
		assert.JSONEq(t, `{"access_token":{"nbf":{"essential":true,"value":"1700000000"},"xms_cc":{"values":["cp1"]}}}`,
			srv.LastRequest().Form.Get("claims"))
		third, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		assert.Equal(t, second.Token, third.Token)
		assert.Equal(t, 2, srv.Count())
	})
}

// Requests that say EnableCAE get their tokens from the client with cp1, others
// don't.
func TestCAEClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		credential := azcredtest.NewCredential(
			t,
			azcredtest.NewClient(t, srv),
			azcred.WithCAEClient(azcredtest.NewClient(t, srv, certtoken.WithCapabilities("cp1"))),
		)
		plain, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.NoError(t, err)
		assert.Empty(t, srv.LastRequest().Form.Get("claims"))
		enabled := request(azcredtest.Scope)
		enabled.EnableCAE = true
		cae, err := credential.GetToken(t.Context(), enabled)
		require.NoError(t, err)
		assert.JSONEq(t, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`, srv.LastRequest().Form.Get("claims"))
		assert.NotEqual(t, plain.Token, cae.Token, "each has a cache of its own")
	})
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv))
		enabled := request(azcredtest.Scope)
		enabled.EnableCAE = true
		for _, options := range []policy.TokenRequestOptions{request(azcredtest.Scope), enabled} {
			_, err := credential.GetToken(t.Context(), options)
			require.NoError(t, err)
		}
		assert.Equal(t, 1, srv.Count(), "one client, one token")
	})
}

func TestTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New(certtokentest.WithTenants(azcredtest.Tenant, azcredtest.OtherTenant))
		options := request(azcredtest.Scope)
		ask := func(credential *azcred.Credential, tenant string) error {
			options.TenantID = tenant
			_, err := credential.GetToken(t.Context(), options)
			return err
		}
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv))
		require.NoError(t, ask(credential, azcredtest.Tenant))
		assert.ErrorContains(t, ask(credential, azcredtest.OtherTenant), "WithTenants")

		credential = azcredtest.NewCredential(
			t,
			azcredtest.NewClient(t, srv, certtoken.WithTenants(azcredtest.OtherTenant)),
		)
		require.NoError(t, ask(credential, azcredtest.OtherTenant))
		assert.Equal(t, azcredtest.OtherTenant, srv.LastRequest().Tenant)

		credential = azcredtest.NewCredential(t, azcredtest.NewClient(t, srv), azcred.WithSingleTenant())
		require.NoError(t, ask(credential, azcredtest.OtherTenant))
		assert.Equal(t, azcredtest.Tenant, srv.LastRequest().Tenant)
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		client := azcredtest.NewClient(t, srv)
		credential := azcredtest.NewCredential(t, client)
		var failed *azcred.AuthenticationError
		var marked interface{ NonRetriable() }

		_, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{})
		require.ErrorAs(t, err, &failed)
		assert.ErrorContains(t, err, "at least one scope")

		srv.Fail(certtokentest.Fault{Code: 700016})
		_, err = credential.GetToken(t.Context(), request(azcredtest.Scope))
		require.ErrorAs(t, err, &failed)
		require.ErrorAs(t, err, &marked)
		var refused *certtoken.TokenError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, []int{700016}, refused.AADSTS)
		assert.ErrorContains(t, err, refused.Advice())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = credential.GetToken(ctx, request(azcredtest.Scope))
		assert.ErrorIs(t, err, context.Canceled)

		require.NoError(t, client.Close())
		_, err = credential.GetToken(t.Context(), request(azcredtest.Scope))
		assert.ErrorIs(t, err, certtoken.ErrClosed)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New(certtokentest.WithTokenType("mtls_pop"))
		_, err := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv)).
			GetToken(t.Context(), request(azcredtest.Scope))
		assert.ErrorContains(t, err, `type "mtls_pop"`)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New(certtokentest.WithTokenType("bearer"))
		_, err := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv)).
			GetToken(t.Context(), request(azcredtest.Scope))
		assert.NoError(t, err)
	})
}

// The SDK's retry policy leaves a failed authentication at that, wherever in a
// pipeline the credential is used.
func TestNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		srv.FailAlways(certtokentest.Fault{Code: 700016})
		calls := 0
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv))
		failing := policyFunc(func(req *policy.Request) (*http.Response, error) {
			calls++
			_, err := credential.GetToken(req.Raw().Context(), request(azcredtest.Scope))
			return nil, err
		})
		pipeline := runtime.NewPipeline(
			"test",
			"v0.0.0",
			runtime.PipelineOptions{PerRetry: []policy.Policy{failing}},
			nil,
		)
		req, err := runtime.NewRequest(t.Context(), http.MethodGet, "https://contoso.example")
		require.NoError(t, err)
		_, err = pipeline.Do(req)
		require.Error(t, err)
		assert.Equal(t, 1, calls)
	})
}

type policyFunc func(*policy.Request) (*http.Response, error)

func (f policyFunc) Do(req *policy.Request) (*http.Response, error) { return f(req) }

func TestNew(t *testing.T) {
	_, err := azcred.New(nil, azcred.WithCAEClient(nil), nil)
	assert.ErrorContains(t, err, "no client")
	assert.ErrorContains(t, err, "WithCAEClient")
}

// No verb, logger or encoder shows the token or walks into the client.

// The SDK's clients would send a DPoP token without a proof.
func TestTokensThatWantAProofAreRefused(t *testing.T) {
	srv := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithDPoP(certtokentest.DPoPRules{}))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(srv.Authority(certtoken.WithDPoP()), "client-id", cert,
		certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	credential, err := azcred.New(client)
	require.NoError(t, err)
	got, err := credential.GetToken(t.Context(), request("read"))
	assert.ErrorContains(t, err, "without WithDPoP")
	assert.Empty(t, got.Token)
}
