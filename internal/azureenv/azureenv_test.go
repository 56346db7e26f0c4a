package azureenv

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// set sets these variables, and none of Azure's besides.
func set(t *testing.T, values map[string]string) {
	t.Helper()
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "AZURE_") || name == regionHere {
			t.Setenv(name, "")
		}
	}
	for name, value := range values {
		t.Setenv(name, value)
	}
}

func TestHost(t *testing.T) {
	for value, want := range map[string]string{
		"":                                      "",
		"https://login.microsoftonline.us/":     "login.microsoftonline.us",
		"login.chinacloudapi.cn":                "login.chinacloudapi.cn",
		"https://Login.Private.Example:443/":    "login.private.example",
		"https://127.0.0.1:8443":                "127.0.0.1:8443",
		"http://login.example":                  "error",
		"https://user:secret@login.example":     "error",
		"https://login.example/tenant":          "error",
		"https://login.example/?secret":         "error",
		"https://login.example/#secret":         "error",
		"https://":                              "error",
		"https://login.example:not-a-port-here": "error",
	} {
		set(t, map[string]string{AuthorityHost: value})
		host, err := Host()
		if want == "error" {
			assert.ErrorContains(t, err, AuthorityHost, value)
			assert.NotContains(t, err.Error(), "secret")
			continue
		}
		assert.NoError(t, err, value)
		assert.Equal(t, want, host, value)
	}
}

func TestRegionName(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "westeurope": "westeurope", "West Europe": "westeurope",
		"AutoDiscoverRegion": "northeurope", "TryAutoDetect": "northeurope",
	} {
		set(t, map[string]string{Region: value, regionHere: "North Europe"})
		assert.Equal(t, want, RegionName(), value)
	}
	set(t, map[string]string{Region: "AutoDiscoverRegion"})
	assert.Empty(t, RegionName(), "the region of here isn't known")
}

func TestTenants(t *testing.T) {
	set(t, map[string]string{AdditionalTenants: " fabrikam.com ;; not a tenant;*"})
	tenants, err := Tenants()
	assert.Equal(t, []string{"fabrikam.com", "*"}, tenants)
	assert.EqualError(t, err, AdditionalTenants+`: "not a tenant" is neither a tenant nor *`)
	set(t, nil)
	tenants, err = Tenants()
	assert.Empty(t, tenants)
	assert.NoError(t, err)
}

// A certificate is used where a token of the platform's is named too.
func TestIsFederated(t *testing.T) {
	set(t, map[string]string{FederatedFile: "token"})
	assert.True(t, IsFederated())
	set(t, map[string]string{FederatedFile: "token", CertificatePath: "cert.pem"})
	assert.False(t, IsFederated())
	set(t, nil)
	assert.False(t, IsFederated())
}

func TestCheckWithoutCertificate(t *testing.T) {
	set(t, map[string]string{Password: "secret", SendChain: "TRUE"})
	err := CheckWithoutCertificate()
	assert.ErrorContains(t, err, Password+" is set without "+CertificatePath)
	assert.ErrorContains(t, err, SendChain+" is set without "+CertificatePath)
	assert.NotContains(t, err.Error(), "secret")
	set(t, map[string]string{SendChain: "false"})
	assert.NoError(t, CheckWithoutCertificate())
}

func TestSendsChain(t *testing.T) {
	for value, want := range map[string]bool{"": false, "0": false, "true": true, "True ": true, "1": true} {
		set(t, map[string]string{SendChain: value})
		send, err := SendsChain()
		assert.NoError(t, err, value)
		assert.Equal(t, want, send, value)
	}
	set(t, map[string]string{SendChain: "perhaps"})
	_, err := SendsChain()
	assert.EqualError(t, err, SendChain+" is neither true nor false")
}

// A proxy that is only half named is an error: without it the token would go elsewhere.
func TestProxy(t *testing.T) {
	set(t, nil)
	proxy, err := Proxy()
	assert.Nil(t, proxy)
	assert.NoError(t, err)
	for _, name := range []string{TokenProxySNI, TokenProxyCAFile, TokenProxyCAData} {
		set(t, map[string]string{name: "x"})
		proxy, err = Proxy()
		assert.Nil(t, proxy)
		assert.EqualError(t, err, name+" is set without "+TokenProxy)
	}
	set(t, map[string]string{TokenProxy: "http://user:secret@proxy.example"})
	_, err = Proxy()
	assert.ErrorContains(t, err, TokenProxy+": ")
	assert.NotContains(t, err.Error(), "secret")
	set(t, map[string]string{TokenProxy: "https://proxy.example:8443/exchange"})
	proxy, err = Proxy()
	require.NoError(t, err)
	assert.Equal(t, "proxy.example:8443", proxy.Host())
}
