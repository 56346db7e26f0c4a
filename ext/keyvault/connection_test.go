package keyvault_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/ext/keyvault/keyvaulttest"
)

const tenant = keyvaulttest.Tenant

// identity stands for a managed identity: it gets its tokens from the same
// endpoint, as an application of its own.
type identity struct{ client *certtoken.Client }

func (i identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := i.client.Acquire(
		ctx,
		certtoken.Request{Scopes: options.Scopes, Tenant: options.TenantID, Claims: options.Claims},
	)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: token.AccessToken(), ExpiresOn: token.ExpiresAt(), RefreshOn: token.RenewAt()}, nil
}

// The whole way over TLS: the vault's challenge, a bearer that it checks, a
// claims challenge, a revoked token, and the token that all this is for.
func TestConnection(t *testing.T) {
	srv := certtokentest.NewServer(t, certtokentest.WithTenants(tenant))
	newClient := func(id string, source certtoken.CertSource) *certtoken.Client {
		client, err := certtoken.NewClient(certtoken.Entra(tenant), id, source,
			certtoken.WithHTTPClient(srv.Client()), certtoken.WithRequestTimeouts(5*time.Minute, 10*time.Minute))
		require.NoError(t, err)
		t.Cleanup(func() { client.Close() })
		return client
	}
	machine, app := firstCert(t), secondCert(t)
	srv.Register("managed-identity", machine.Leaf)
	srv.Register("app", app.Leaf)
	vault := keyvaulttest.New(t, "app", app)
	var guard *certtokentest.Resource
	srv.Handle(strings.TrimPrefix(vault.URL(), "https://")+"/", vault.Handler(func(next http.Handler) http.Handler {
		guard = srv.Resource("https://vault.azure.net", next)
		return guard
	}))
	credential := identity{newClient("managed-identity", machine)}
	options := keyvault.WithClientOptions(azcore.ClientOptions{Transport: srv.Client(), Retry: quick})
	patiently := keyvault.WithTimeout(5 * time.Minute) // a busy machine takes long to read a PFX

	type maker = func(string, string, azcore.TokenCredential, ...keyvault.Option) (*keyvault.Source, error)
	for name, from := range map[string]maker{
		"FromSecret": keyvault.FromSecret, "FromKey": keyvault.FromKey,
	} {
		t.Run(name, func(t *testing.T) {
			source, err := from(vault.URL(), "app", credential, options, patiently,
				keyvault.WithRefreshInterval(time.Second))
			require.NoError(t, err)
			client := newClient("app", source)
			fresh := certtoken.Request{Scopes: []string{"https://graph.microsoft.com/.default"}, Fresh: true}
			_, err = client.Acquire(t.Context(), fresh)
			require.NoError(t, err)

			// Continuous access evaluation: the SDK passes the claims to the credential.
			guard.Challenge(`{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}`)
			other, err := from(vault.URL(), "app", credential, options, patiently)
			require.NoError(t, err)
			_, err = newClient("app", other).Acquire(t.Context(), fresh)
			require.NoError(t, err)
			guard.Challenge("")
		})
	}

	// The identity loses its right: a cold source says so, a warm one goes on.
	warm, err := keyvault.FromSecret(vault.URL(), "app", credential, options, patiently)
	require.NoError(t, err)
	load(t, warm)
	guard.Refuse(-1)
	cold, err := keyvault.FromSecret(vault.URL(), "app", credential, options, patiently)
	require.NoError(t, err)
	_, err = cold.Certificate(t.Context())
	require.ErrorContains(t, err, "401 Unauthorized")
	load(t, warm)
}
