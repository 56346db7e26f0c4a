package keyvault

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseChallenge(t *testing.T) {
	const authority = `authorization="https://login.microsoftonline.com/contoso"`
	for _, test := range []struct {
		name, header string
		vault        string // "": contoso.vault.azure.net
		anyResource  bool
		want         challenge
		says         string // of the error, if one is wanted
	}{
		{name: "a vault's", header: "Bearer " + authority + `, resource="https://vault.azure.net"`,
			want: challenge{resource: "https://vault.azure.net", tenant: "contoso"}},
		{name: "separated by blanks", header: "Bearer " + authority + ` resource="https://vault.azure.net"`,
			want: challenge{resource: "https://vault.azure.net", tenant: "contoso"}},
		{name: "a scope", header: `Bearer scope="https://vault.azure.net/.default"`,
			want: challenge{resource: "https://vault.azure.net"}},
		{name: "in capitals, with a slash", header: `Bearer Resource="HTTPS://Vault.Azure.Net/"`,
			vault: "Contoso.Vault.Azure.Net",
			want:  challenge{resource: "https://vault.azure.net"}},
		{name: "a managed HSM's", header: `Bearer resource="https://managedhsm.azure.net"`,
			vault: "hsm.managedhsm.azure.net",
			want:  challenge{resource: "https://managedhsm.azure.net"}},
		{name: "China's", header: `Bearer resource="https://vault.azure.cn"`, vault: "contoso.vault.azure.cn",
			want: challenge{resource: "https://vault.azure.cn"}},
		{name: "the US Government's", header: `Bearer resource="https://vault.usgovcloudapi.net"`,
			vault: "contoso.vault.usgovcloudapi.net", want: challenge{resource: "https://vault.usgovcloudapi.net"}},
		{name: "with claims",
			header: `Bearer resource="https://vault.azure.net", error="insufficient_claims", claims="e30="`,
			want:   challenge{resource: "https://vault.azure.net", claims: "e30="}},
		{
			name: "claims alone", header: `Bearer error="insufficient_claims", claims="e30="`,
			want: challenge{claims: "e30="},
		},
		{name: "claims for another reason", header: `Bearer error="invalid_token", claims="e30="`},
		{name: "claims that aren't base64", header: `Bearer error="insufficient_claims", claims="{}"`},
		{name: "nothing", header: `Basic realm="x"`},
		{name: "an authority without a tenant", header: `Bearer authorization="x", resource="https://vault.azure.net"`,
			want: challenge{resource: "https://vault.azure.net", tenant: "x"}},
		{name: "an odd tenant", header: `Bearer authorization="https://h/a b", resource="https://vault.azure.net"`,
			want: challenge{resource: "https://vault.azure.net"}},

		{
			name: "somebody else's", header: `Bearer resource="https://graph.microsoft.com"`,
			says: "the token stays here",
		},
		{name: "another cloud's", header: `Bearer resource="https://vault.azure.cn"`, says: "the token stays here"},
		{name: "a part of the domain", header: `Bearer resource="https://azure.net"`, says: "the token stays here"},
		{name: "a top-level domain", header: `Bearer resource="https://net"`, says: "the token stays here"},
		{
			name: "not at a label's edge", header: `Bearer resource="https://ult.azure.net"`,
			says: "the token stays here",
		},
		{name: "ends like a domain", header: `Bearer resource="https://evilvault.azure.net"`,
			vault: "x.evilvault.azure.net", says: "the token stays here"},
		{name: "of a vault under another domain", header: `Bearer resource="https://contoso.com"`,
			vault: "vault.contoso.com",
			says:  "the token stays here"},
		{name: "a port", header: `Bearer resource="https://vault.azure.net:443"`, says: "the token stays here"},
		{name: "http", header: `Bearer resource="http://vault.azure.net"`, says: "more or less than https://host"},
		{name: "a path", header: `Bearer resource="https://vault.azure.net/x"`, says: "more or less than https://host"},
		{
			name: "a query", header: `Bearer resource="https://vault.azure.net?x"`,
			says: "more or less than https://host",
		},
		{
			name: "a fragment", header: `Bearer resource="https://vault.azure.net#x"`,
			says: "more or less than https://host",
		},
		{name: "a user", header: `Bearer resource="https://x@vault.azure.net"`, says: "more or less than https://host"},
		{name: "an escape", header: `Bearer resource="https://vault%2eazure.net"`, says: "no URL"},
		{
			name: "a dot at the end", header: `Bearer resource="https://vault.azure.net."`,
			says: "more or less than https://host",
		},
		{name: "no host", header: `Bearer resource="https://"`, says: "no URL"},
		{name: "no URL", header: `Bearer resource="vault"`, says: "no URL"},
		{name: "too long", header: `Bearer resource="https://vault.azure.net", x="` + strings.Repeat("x",
			maxChallenge) + `"`,
			says: "more than 16384 bytes"},

		{name: "an emulator's", header: `Bearer resource="https://localhost:8443"`, vault: "localhost:8443",
			anyResource: true,
			want:        challenge{resource: "https://localhost:8443"}},
		{name: "an emulator's address", header: `Bearer resource="https://[::1]:8443/.default"`, vault: "[::1]:8443",
			anyResource: true,
			want:        challenge{resource: "https://[::1]:8443"}},
		{name: "any host, but a clean one", header: `Bearer resource="https://localhost/x"`, anyResource: true,
			says: "more or less than https://host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			vault := test.vault
			if vault == "" {
				vault = "contoso.vault.azure.net"
			}
			got, err := parseChallenge([]string{test.header}, vault, test.anyResource)
			if test.says != "" {
				assert.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

// What the clients of the SDK would do with a challenge, such as panicking or asking
// for another resource's token, doesn't depend on them.
func TestGuardedChallenges(t *testing.T) {
	type maker = func(string, string, azcore.TokenCredential, ...Option) (*Source, error)
	for name, from := range map[string]maker{"FromKey": FromKey, "FromSecret": FromSecret} {
		for _, test := range []struct {
			name, header string
			tenants      []string // that tokens were asked of
			says         string
		}{
			{name: "good", header: `Bearer authorization="https://h/t", resource="https://vault.azure.net"`,
				tenants: []string{"t"}, says: "401 Unauthorized"},
			{name: "a short authority", header: `Bearer authorization="/x" resource="https://vault.azure.net"`,
				tenants: []string{"x"}, says: "401 Unauthorized"},
			{name: "unquoted as well", header: `Bearer resource="https://vault.azure.net" scope=https://net`,
				tenants: []string{""}, says: "401 Unauthorized"},
			{name: "a part of the domain", header: `Bearer resource="https://net"`, says: "the token stays here"},
			{name: "http", header: `Bearer resource="http://vault.azure.net"`, says: "more or less than https://host"},
			{name: "no resource", header: `Bearer realm="x"`, says: "names no resource"},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				credential := &recording{}
				source, err := from(fuzzedVault, "app", credential, challenging(test.header))
				require.NoError(t, err)
				_, err = source.Certificate(t.Context())
				require.ErrorContains(t, err, test.says)
				var tenants []string
				for _, asked := range credential.asked {
					assert.Equal(t, []string{"https://vault.azure.net/.default"}, asked.Scopes)
					tenants = append(tenants, asked.TenantID)
				}
				assert.Equal(t, test.tenants, tenants)
			})
		}
	}
}
