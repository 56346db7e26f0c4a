package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	fakesecrets "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
	"github.com/certtoken/certtoken/ext/azcred/internal/azcredtest"
	"github.com/certtoken/certtoken/internal/secrettest"
)

// claims are what a resource asks for when a session was revoked.
const claims = `{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}`

// services are Azure's, as far as the SDK's clients can see: over TLS, each with
// its own way to ask for a token, each checking the token for real.
type services struct {
	srv            *certtokentest.Server
	vault, manager *certtokentest.Resource
	options        azcore.ClientOptions
}

func newServices(t *testing.T, opts ...certtokentest.Option) *services {
	srv := certtokentest.NewServer(t, append([]certtokentest.Option{certtokentest.WithTenants(azcredtest.Tenant,
		azcredtest.OtherTenant)}, opts...)...)
	s := &services{
		srv: srv,
		options: azcore.ClientOptions{Transport: srv.Client(),
			Retry: policy.RetryOptions{RetryDelay: time.Millisecond}},
	}
	s.vault = srv.Resource("https://vault.azure.net", answer("application/json",
		`{"id":"https://contoso.vault.azure.net/secrets/greeting/1","value":"hello"}`))
	srv.Handle("contoso.vault.azure.net/", vaultChallenge(s.vault))
	s.manager = srv.Resource("https://management.core.windows.net/", answer("application/json",
		`{"value":[{"subscriptionId":"1","displayName":"Pay as you go"}]}`))
	srv.Handle("management.azure.com/", s.manager)
	return s
}

func answer(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, body)
	})
}

// vaultChallenge names tenant and resource to a request without a token.
func vaultChallenge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate",
				`Bearer authorization="https://login.microsoftonline.com/`+azcredtest.Tenant+
					`", resource="https://vault.azure.net"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *services) secret(t *testing.T, credential azcore.TokenCredential) func() error {
	client, err := azsecrets.NewClient("https://contoso.vault.azure.net", credential,
		&azsecrets.ClientOptions{ClientOptions: s.options})
	require.NoError(t, err)
	return func() error {
		got, err := client.GetSecret(t.Context(), "greeting", "", nil)
		if err == nil && *got.Value != "hello" {
			err = fmt.Errorf("the secret is %q", *got.Value)
		}
		return err
	}
}

func (s *services) subscriptions(t *testing.T, credential azcore.TokenCredential, auxiliary ...string) func() error {
	client, err := armsubscriptions.NewClient(credential,
		&arm.ClientOptions{ClientOptions: s.options, AuxiliaryTenants: auxiliary})
	require.NoError(t, err)
	return func() error {
		page, err := client.NewListPager(nil).NextPage(t.Context())
		if err == nil && *page.Value[0].DisplayName != "Pay as you go" {
			err = fmt.Errorf("the subscription is %q", *page.Value[0].DisplayName)
		}
		return err
	}
}

// The SDK's clients work over one credential, and one token for each
// service does for any number of them.
func TestSDKClients(t *testing.T) {
	s := newServices(t)
	credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, s.srv, certtoken.WithCapabilities("cp1")))
	var wg sync.WaitGroup
	for range 5 {
		for _, call := range []func() error{s.secret(t, credential), s.subscriptions(t, credential)} {
			wg.Go(func() {
				for range 3 {
					assert.NoError(t, call())
				}
			})
		}
	}
	wg.Wait()
	assert.Equal(t, 2, s.srv.CountGranted())
}

// A resource manager client with auxiliary tenants asks for a token of each.
func TestAuxiliaryTenants(t *testing.T) {
	s := newServices(t)
	credential := azcredtest.NewCredential(t,
		azcredtest.NewClient(t, s.srv, certtoken.WithTenants(azcredtest.OtherTenant)))
	require.NoError(t, s.subscriptions(t, credential, azcredtest.OtherTenant)())
	tenants := map[string]bool{}
	for _, r := range s.srv.Requests() {
		tenants[r.Tenant] = true
	}
	assert.Equal(t, map[string]bool{azcredtest.Tenant: true, azcredtest.OtherTenant: true}, tenants)
}

// Continuous access evaluation, end to end: the resource refuses the token that
// it took before, the SDK hands the claims to the credential, and the request
// succeeds. The next client has the new token from the cache.
func TestClaimsChallenge(t *testing.T) {
	s := newServices(t)
	credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, s.srv, certtoken.WithCapabilities("cp1")))
	for name, service := range map[string]struct {
		resource *certtokentest.Resource
		client   func() func() error
	}{
		"azsecrets":        {s.vault, func() func() error { return s.secret(t, credential) }},
		"armsubscriptions": {s.manager, func() func() error { return s.subscriptions(t, credential) }},
	} {
		t.Run(name, func(t *testing.T) {
			call := service.client()
			require.NoError(t, call())
			granted := s.srv.CountGranted()
			service.resource.Challenge(claims)
			require.NoError(t, call())
			assert.Equal(t, granted+1, s.srv.CountGranted())
			assert.JSONEq(t,
				`{"access_token":{"nbf":{"essential":true,"value":"1700000000"},"xms_cc":{"values":["cp1"]}}}`,
				s.srv.LastRequest().Form.Get("claims"))
			require.NoError(t, call())
			require.NoError(t, service.client()())
			assert.Equal(t, granted+1, s.srv.CountGranted())
		})
	}
}

// A client that has no cp1 answers a challenge too, should there be one.
func TestClaimsChallengeWithoutCapability(t *testing.T) {
	s := newServices(t)
	call := s.subscriptions(t, azcredtest.NewCredential(t, azcredtest.NewClient(t, s.srv)))
	require.NoError(t, call())
	s.manager.Challenge(claims)
	require.NoError(t, call())
	assert.JSONEq(t, claims, s.srv.LastRequest().Form.Get("claims"))
}

// A failed authentication is the SDK's error at once, with what to do.
func TestAuthenticationFails(t *testing.T) {
	s := newServices(t)
	s.srv.FailAlways(certtokentest.Fault{Code: 7000274})
	call := s.subscriptions(t, azcredtest.NewCredential(t, azcredtest.NewClient(t, s.srv)))
	err := call()
	var failed *azcred.AuthenticationError
	require.ErrorAs(t, err, &failed)
	assert.ErrorContains(t, err, "upload it")
	assert.Equal(t, 1, s.srv.Count())
	assert.False(t, secrettest.BeginsJWT(err.Error()), "the beginning of a JWT")
}

// The SDK's own fake server and a day of requests: the SDK's clients renew as
// the credential hints, and no request waits for the token endpoint.
func TestADayWithTheFakeServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		srv.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
			return &certtokentest.Fault{Delay: 3 * time.Second}
		})
		var calls atomic.Int64
		vault := fakesecrets.NewServerTransport(&fakesecrets.Server{
			GetSecret: func(_ context.Context, name, _ string, _ *azsecrets.GetSecretOptions) (
				resp azfake.Responder[azsecrets.GetSecretResponse], errResp azfake.ErrorResponder,
			) {
				calls.Add(1)
				value := strings.ToUpper(name)
				resp.SetResponse(http.StatusOK, azsecrets.GetSecretResponse{Secret: azsecrets.Secret{Value: &value}},
					nil)
				return resp, errResp
			},
		})
		// The fake's challenge names a tenant that is none.
		credential := azcredtest.NewCredential(t, azcredtest.NewClient(t, srv, certtoken.WithCapabilities("cp1")),
			azcred.WithSingleTenant())
		client, err := azsecrets.NewClient("https://contoso.vault.azure.net", credential,
			&azsecrets.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: vault}})
		require.NoError(t, err)

		var waited time.Duration
		for range 24 * 60 {
			start := time.Now()
			got, err := client.GetSecret(t.Context(), "greeting", "", nil)
			require.NoError(t, err)
			require.Equal(t, "GREETING", *got.Value)
			waited += time.Since(start)
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 3*time.Second, waited, "only the first waits")
		assert.Equal(t, int64(24*60), calls.Load())
		assert.Less(t, srv.Count(), 40, "about every 45 minutes")
		assert.Greater(t, srv.Count(), 24)
	})
}
