package certtoken_test

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
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

// setEnvironment sets these AZURE_ variables and no others, and takes away what App Service
// says of the region.
func setEnvironment(t *testing.T, values map[string]string) {
	t.Helper()
	t.Setenv("REGION_NAME", "")
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
	plain, locked := filepath.Join(folder, "plain.pem"), filepath.Join(folder, "locked.pfx")
	token := filepath.Join(folder, "token")
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(plain, data, 0o600))
	data, err = selfsigned.EncodePFX(cert, "the password", selfsigned.PFXModern)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(locked, data, 0o600))
	require.NoError(
		t,
		os.WriteFile(token, []byte(idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour)), 0o600),
	)

	cases := map[string]struct {
		env       map[string]string
		host      string
		check     string // the scope that Check asks for
		chain     bool
		federated bool
	}{
		"certificate": {env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain}},
		"password": {
			env: map[string]string{"CLIENT_CERTIFICATE_PATH": locked, "CLIENT_CERTIFICATE_PASSWORD": "the password"},
		},
		"chain": {
			env:   map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "CLIENT_SEND_CERTIFICATE_CHAIN": "true"},
			chain: true,
		},
		"no chain": {
			env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "CLIENT_SEND_CERTIFICATE_CHAIN": "0"},
		},
		"federated": {
			env: map[string]string{"FEDERATED_TOKEN_FILE": token}, federated: true,
		},
		"both": {
			env: map[string]string{"FEDERATED_TOKEN_FILE": token, "CLIENT_CERTIFICATE_PATH": plain},
		},
		"public cloud": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.microsoftonline.com/",
			},
		},
		"government": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.microsoftonline.us",
			},
			host: "login.microsoftonline.us",
		},
		"China": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "login.partner.microsoftonline.cn",
			},
			host: "login.partner.microsoftonline.cn",
		},
		"China's older name": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.chinacloudapi.cn/",
			},
			host: "login.chinacloudapi.cn", check: "https://microsoftgraph.chinacloudapi.cn/.default",
		},
		"US Government's other name": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.usgovcloudapi.net/",
			},
			host: "login.usgovcloudapi.net", check: "https://graph.microsoft.us/.default",
		},
		"the public cloud's other name": {
			env:  map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "AUTHORITY_HOST": "https://login.windows.net"},
			host: "login.windows.net", check: "https://graph.microsoft.com/.default",
		},
		"Bleu": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.sovcloud-identity.fr",
			},
			host: "login.sovcloud-identity.fr",
		},
		"Delos": {
			env: map[string]string{
				"FEDERATED_TOKEN_FILE": token,
				"AUTHORITY_HOST":       "https://login.sovcloud-identity.de",
			},
			host: "login.sovcloud-identity.de", federated: true,
		},
		"GovSG": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://login.sovcloud-identity.sg",
			},
			host: "login.sovcloud-identity.sg",
		},
		"a region": {
			env:  map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "REGIONAL_AUTHORITY_NAME": "westeurope"},
			host: "westeurope.login.microsoft.com",
		},
		"a region as people write it": {
			env:  map[string]string{"FEDERATED_TOKEN_FILE": token, "REGIONAL_AUTHORITY_NAME": "West Europe"},
			host: "westeurope.login.microsoft.com", federated: true,
		},
		"the region of here, which isn't known": {
			env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "REGIONAL_AUTHORITY_NAME": "AutoDiscoverRegion"},
		},
		"a certificate beside the proxy": {
			env: map[string]string{"CLIENT_CERTIFICATE_PATH": plain, "KUBERNETES_SNI_NAME": "x"},
		},
		"another": {
			env: map[string]string{
				"CLIENT_CERTIFICATE_PATH": plain,
				"AUTHORITY_HOST":          "https://Login.Private.Example/",
			},
			host: "login.private.example",
		},
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
		"nothing": {
			says: []string{
				"AZURE_TENANT_ID is not set", "AZURE_CLIENT_ID is not set",
				"neither AZURE_CLIENT_CERTIFICATE_PATH nor AZURE_FEDERATED_TOKEN_FILE",
			},
		},
		"contradictions": {
			env: map[string]string{
				"TENANT_ID": "common", "CLIENT_CERTIFICATE_PASSWORD": "the-secret", "FEDERATED_TOKEN_FILE": "x",
				"CLIENT_SEND_CERTIFICATE_CHAIN": "true", "AUTHORITY_HOST": "http://login.microsoftonline.com",
			},
			says: []string{
				"AZURE_CLIENT_ID is not set", "AZURE_CLIENT_CERTIFICATE_PASSWORD is set without",
				"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN is set without", "AZURE_AUTHORITY_HOST", "common",
			},
			not: []string{"AZURE_TENANT_ID is not set"},
		},
		"not a truth": {
			env: map[string]string{
				"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
				"CLIENT_CERTIFICATE_PATH": "x", "CLIENT_SEND_CERTIFICATE_CHAIN": "the-secret"},
			says: []string{"neither true nor false"},
		},
		"tenants and region": {
			env: map[string]string{
				"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
				"CLIENT_CERTIFICATE_PATH":      "x",
				"ADDITIONALLY_ALLOWED_TENANTS": "fabrikam.com;not a tenant", "REGIONAL_AUTHORITY_NAME": "west/europe"},
			says: []string{"AZURE_ADDITIONALLY_ALLOWED_TENANTS", "not a tenant", "west/europe"},
		},
		"region of another cloud": {
			env: map[string]string{
				"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
				"CLIENT_CERTIFICATE_PATH": "x",
				"AUTHORITY_HOST":          "https://login.microsoftonline.us",
				"REGIONAL_AUTHORITY_NAME": "usgovvirginia"},
			says: []string{"WithRegion"},
		},
		"half a proxy": {
			env: map[string]string{"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "FEDERATED_TOKEN_FILE": "x",
				"KUBERNETES_SNI_NAME": "x", "KUBERNETES_CA_FILE": "x"},
			says: []string{
				"AZURE_KUBERNETES_SNI_NAME is set without AZURE_KUBERNETES_TOKEN_PROXY",
				"AZURE_KUBERNETES_CA_FILE is set without",
			},
		},
		"a proxy over http": {
			env: map[string]string{"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "FEDERATED_TOKEN_FILE": "x",
				"KUBERNETES_TOKEN_PROXY": "http://user:the-secret@proxy.example"},
			says: []string{"AZURE_KUBERNETES_TOKEN_PROXY: it is not an https URL"},
		},
		"two sets of authorities": {
			env: map[string]string{"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "FEDERATED_TOKEN_FILE": "x",
				"KUBERNETES_TOKEN_PROXY": "https://proxy.example", "KUBERNETES_CA_FILE": "x",
				"KUBERNETES_CA_DATA": "x"},
			says: []string{"given twice"},
		},
		"tenant alone": {
			env:  map[string]string{"TENANT_ID": "not a tenant", "CLIENT_ID": appID, "CLIENT_CERTIFICATE_PATH": "x"},
			says: []string{"not a tenant"},
		},
	}
	for _, host := range []string{
		"https://a:the-secret@x.example", "https://x.example/tenant", "https://x.example?q", "https://",
		"ftp://x.example", "https://x.example/#f",
	} {
		cases[host] = struct {
			env  map[string]string
			says []string
			not  []string
		}{env: map[string]string{
			"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
			"CLIENT_CERTIFICATE_PATH": "x", "AUTHORITY_HOST": host}, says: []string{"AZURE_AUTHORITY_HOST"}}
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

func TestRegionOfHere(t *testing.T) {
	setEnvironment(t, map[string]string{
		"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
		"CLIENT_CERTIFICATE_PATH": "x", "REGIONAL_AUTHORITY_NAME": "AutoDiscoverRegion"})
	t.Setenv("REGION_NAME", "West Europe")
	client, err := certtoken.ClientFromEnvironment()
	require.NoError(t, err)
	defer client.Close()
	assert.Contains(t, client.String(), "https://westeurope.login.microsoft.com/")
}

func TestAdditionalTenants(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	file := filepath.Join(t.TempDir(), "cert.pem")
	writeFile(t, file, bundle(t, cert))
	for list, works := range map[string]map[string]bool{
		"":                           {"fabrikam.com": false},
		"fabrikam.com":               {"fabrikam.com": true, "adatum.com": false},
		" fabrikam.com ;adatum.com;": {"fabrikam.com": true, "adatum.com": true, "a.example": false},
		"*":                          {"a.example": true},
	} {
		setEnvironment(t, map[string]string{
			"TENANT_ID": "contoso.com", "CLIENT_ID": appID,
			"CLIENT_CERTIFICATE_PATH": file, "ADDITIONALLY_ALLOWED_TENANTS": list})
		client, err := certtoken.ClientFromEnvironment(certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err, list)
		for tenant, ok := range works {
			_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
			assert.Equal(t, ok, err == nil, "%q: %s: %v", list, tenant, err)
		}
		assert.NoError(t, client.Close())
	}
}

// AKS identity bindings: the cluster's token goes to the cluster's proxy and nowhere
// else.
func TestKubernetesTokenProxy(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	idp := certtokentest.NewIdentityProvider(cluster)
	server.Federate(appID, idp.Federation(pod, certtokentest.ExchangeAudience))
	var paths []string
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		http.StripPrefix("/exchange", server).ServeHTTP(w, r)
	}))
	closed := make(chan struct{}, 8)
	proxy.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	proxy.StartTLS()
	defer proxy.Close()
	folder := t.TempDir()
	token, ca := filepath.Join(folder, "token"), filepath.Join(folder, "ca.crt")
	require.NoError(
		t,
		os.WriteFile(token, []byte(idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour)), 0o600),
	)
	require.NoError(t, os.WriteFile(ca, certPEM(proxy.Certificate()), 0o600))
	env := map[string]string{
		"TENANT_ID": "contoso.com", "CLIENT_ID": appID, "FEDERATED_TOKEN_FILE": token,
		"KUBERNETES_TOKEN_PROXY": proxy.URL + "/exchange", "KUBERNETES_SNI_NAME": "example.com",
		"KUBERNETES_CA_FILE": ca,
	}
	setEnvironment(t, env)
	client, err := certtoken.ClientFromEnvironment()
	require.NoError(t, err)
	_, err = client.Token(t.Context(), graph)
	require.NoError(t, err)
	require.NoError(t, client.Close())
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("the client's end leaves its connection to the proxy open")
	}
	assert.Equal(t, []string{"/exchange/contoso.com/oauth2/v2.0/token"}, paths)

	_, err = certtoken.ClientFromEnvironment(certtoken.WithHTTPClient(server.Client()))
	assert.ErrorContains(t, err, "exclude each other")
}

// Options of the authority come after those of the variables.
func TestClientFromEnvironmentWithAuthorityOptions(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "pair.pem")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	setEnvironment(t, map[string]string{
		"TENANT_ID": certtokentest.DefaultTenant, "CLIENT_ID": appID, "CLIENT_CERTIFICATE_PATH": file,
	})
	client, err := certtoken.ClientFromEnvironment(certtoken.WithHTTPClient(server.Client()),
		certtoken.WithAuthorityOptions(certtoken.WithAlgorithm(certtoken.RS256), certtoken.WithX5C()),
		certtoken.WithAuthorityOptions(certtoken.WithParameter("further", "1")))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), graph)
	require.NoError(t, err)
	sent := server.LastRequest()
	assert.Equal(t, "1", sent.Form.Get("further"))
	header, _, _ := strings.Cut(sent.Form.Get("client_assertion"), ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"RS256"`)
	assert.Contains(t, string(text), `"x5c"`)

	_, err = certtoken.ClientFromEnvironment(
		certtoken.WithAuthorityOptions(certtoken.WithHost("https://x"), certtoken.WithRegion("!")))
	require.ErrorContains(t, err, "give the host name only")
	require.ErrorContains(t, err, "is not the name of an Azure region")
	_, err = certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert,
		certtoken.WithAuthorityOptions(certtoken.WithX5C()))
	require.ErrorContains(t, err, "WithAuthorityOptions is for ClientFromEnvironment")
}
