package certtoken_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// setEnvironment sets these AZURE_ variables and no others.
func setEnvironment(t *testing.T, values map[string]string) {
	t.Helper()
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "AZURE_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range values {
		t.Setenv("AZURE_"+name, value)
	}
}

func TestClientFromEnvironment(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	idp := certtokentest.NewIdentityProvider(cluster)
	server.Federate(appID, idp.Federation(pod, certtokentest.ExchangeAudience))

	folder := t.TempDir()
	plain, locked, token := filepath.Join(folder, "plain.pem"), filepath.Join(folder, "locked.pfx"), filepath.Join(folder, "token")
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(plain, data, 0o600))
	data, err = selfsigned.EncodePFX(cert, "the password", selfsigned.PFXModern)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(locked, data, 0o600))
	require.NoError(t, os.WriteFile(token, []byte(idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour)), 0o600))

	cases := map[string]struct {
		env       map[string]string
		host      string
		check     string // the scope that Check asks for
		chain     bool
		federated bool
	}{
		"certificate":        {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain}},
		"password":           {env: map[string]string{"CLIENT_CERTIFICATE_PATH": locked, "CLIENT_CERTIFICATE_PASSWORD": "the password"}},
		"chain":              {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "CLIENT_SEND_CERTIFICATE_CHAIN": "true"}, chain: true},
		"no chain":           {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "CLIENT_SEND_CERTIFICATE_CHAIN": "0"}},
		"federated":          {env: map[string]string{"FEDERATED_TOKEN_FILE": token}, federated: true},
		"both":               {env: map[string]string{"FEDERATED_TOKEN_FILE": token, "CLIENT_CERTIFICATE_PATH": plain}},
		"public cloud":       {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "https://login.microsoftonline.com/"}},
		"government":         {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "https://login.microsoftonline.us"}, host: "login.microsoftonline.us"},
		"China":              {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "login.partner.microsoftonline.cn"}, host: "login.partner.microsoftonline.cn"},
		"China's older name": {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "https://login.chinacloudapi.cn/"}, host: "login.chinacloudapi.cn", check: "https://microsoftgraph.chinacloudapi.cn/.default"},
		"another":            {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "https://Login.Private.Example/"}, host: "login.private.example"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.env["TENANT_ID"], c.env["CLIENT_ID"] = "contoso.onmicrosoft.com", appID
			setEnvironment(t, c.env)
			client, err := certtoken.ClientFromEnvironment(certtoken.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), graph)
			require.NoError(t, err)
			if c.check != "" {
				require.NoError(t, client.Check(t.Context()))
				assert.Equal(t, c.check, server.LastRequest().Form.Get("scope"))
			}
			last := server.LastRequest()
			if c.host == "" {
				c.host = "login.microsoftonline.com"
			}
			assert.Equal(t, c.host, last.Host)
			assert.Equal(t, c.chain, last.AssertionHeader["x5c"] != nil)
			assert.Equal(t, c.federated, last.AssertionClaims["iss"] == cluster)
		})
	}
}

// One error says everything, and no secret.
func TestClientFromEnvironmentSaysWhatIsMissing(t *testing.T) {
	cases := map[string]struct {
		env  map[string]string
		says []string
		not  []string
	}{
		"nothing": {says: []string{"AZURE_TENANT_ID is not set", "AZURE_CLIENT_ID is not set", "neither AZURE_CLIENT_CERTIFICATE_PATH nor AZURE_FEDERATED_TOKEN_FILE"}},
		"contradictions": {
			env: map[string]string{"TENANT_ID": "common", "CLIENT_CERTIFICATE_PASSWORD": "the-secret", "FEDERATED_TOKEN_FILE": "x",
				"CLIENT_SEND_CERTIFICATE_CHAIN": "true", "AUTHORITY_HOST": "http://login.microsoftonline.com"},
			says: []string{"AZURE_CLIENT_ID is not set", "AZURE_CLIENT_CERTIFICATE_PASSWORD is set without", "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN is set without", "AZURE_AUTHORITY_HOST", "common"},
			not:  []string{"AZURE_TENANT_ID is not set"},
		},
		"not a truth": {
			env:  map[string]string{"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "CLIENT_CERTIFICATE_PATH": "x", "CLIENT_SEND_CERTIFICATE_CHAIN": "the-secret"},
			says: []string{"neither true nor false"},
		},
		"tenant alone": {
			env:  map[string]string{"TENANT_ID": "not a tenant", "CLIENT_ID": appID, "CLIENT_CERTIFICATE_PATH": "x"},
			says: []string{"not a tenant"},
		},
	}
	for _, host := range []string{"https://a:the-secret@x.example", "https://x.example/tenant", "https://x.example?q", "https://", "ftp://x.example", "https://x.example/#f"} {
		cases[host] = struct {
			env  map[string]string
			says []string
			not  []string
		}{env: map[string]string{"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "CLIENT_CERTIFICATE_PATH": "x", "AUTHORITY_HOST": host}, says: []string{"AZURE_AUTHORITY_HOST"}}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, c.env)
			_, err := certtoken.ClientFromEnvironment(certtoken.WithCacheLimit(-1))
			require.Error(t, err)
			for _, want := range append(c.says, "WithCacheLimit") {
				assert.ErrorContains(t, err, want)
			}
			for _, not := range append(c.not, "the-secret") {
				assert.NotContains(t, err.Error(), not)
			}
		})
	}
}
