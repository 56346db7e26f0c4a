package main

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault/keyvaulttest"
)

// The program as it is, with a vault, a token endpoint and an API on this
// machine.
func TestRun(t *testing.T) {
	const tenant = keyvaulttest.Tenant
	srv := certtokentest.NewServer(t, certtokentest.WithTenants(tenant))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSubject("my-app"))
	srv.Register("client-id", cert.Leaf)
	vault := keyvaulttest.New(t, "my-app", cert)
	srv.Handle(strings.TrimPrefix(vault.URL(), "https://")+"/", vault.Handler(nil))
	srv.Handle("graph.microsoft.com/", srv.Resource("https://graph.microsoft.com", nil))
	around := surroundings{
		credential: &azfake.TokenCredential{},
		vault:      azcore.ClientOptions{Transport: srv.Client()},
		http:       srv.Client(),
	}
	s := settings{
		vault: vault.URL(), certificate: "my-app",
		tenant: tenant, clientID: "client-id",
		scope: "https://graph.microsoft.com/.default", api: "https://graph.microsoft.com/v1.0/organization",
	}
	for _, exportable := range []bool{false, true} {
		s.exportable = exportable
		var out strings.Builder
		require.NoError(t, run(t.Context(), s, around, &out))
		assert.Contains(t, out.String(), `signed by certtoken.Certificate("CN=my-app"`)
		assert.Contains(t, out.String(), `"client_id":"client-id"`)
	}

	s.certificate = "another"
	assert.ErrorContains(t, run(t.Context(), s, around, &strings.Builder{}), "404 Not Found")
	s.vault = "contoso"
	assert.Error(t, run(t.Context(), s, around, &strings.Builder{}))
	s.vault, s.identity = vault.URL(), "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
	around.credential = nil
	_, err := newSource(s, around)
	assert.NoError(t, err, "with the machine's managed identity")
}
