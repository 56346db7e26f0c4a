package syntax

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckTenant(t *testing.T) {
	for _, good := range []string{
		"contoso.com", "contoso.onmicrosoft.com", "xn--bcher-kva.example", "7F0B2C1E-6d5a-4f39-9a87-2d1c0e4b5a6f",
	} {
		assert.NoError(t, CheckTenant(good), good)
	}
	for bad, says := range map[string]string{
		"": "no tenant", "common": "stands for many", "Organizations": "stands for many",
		"consumers": "stands for many",
		"contoso":   "neither", "https://contoso.com": "neither", "contoso.com/x": "neither", "contoso.com.": "neither",
		"a..com": "neither", "a.com\n": "neither", "127.0.0.1": "neither", "ａ.com": "neither",
		strings.Repeat("a.", 127) + "com": "neither", "{7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f}": "neither",
	} {
		assert.ErrorContains(t, CheckTenant(bad), says, "%q", bad)
	}
}

func TestCheckEndpoint(t *testing.T) {
	for raw, says := range map[string]string{
		"https://issuer.example/token":           "",
		"https://issuer.example:8443/token?p=1":  "",
		"http://issuer.example/token":            "only https",
		"http://127.0.0.1/token":                 "WithLoopbackHTTP",
		"http://localhost:8080/":                 "WithLoopbackHTTP",
		"ftp://issuer.example/":                  "not https",
		"issuer.example/token":                   "no host",
		"https:issuer.example":                   "no host",
		"https://:443/":                          "no host",
		"https://issuer.example/#":               "fragment",
		"https://issuer.example/#x":              "fragment",
		"https://ada:pa55word@issuer.example/":   "user or password",
		"https://[::1/":                          "not a URL",
		"https://issuer.example/\x7f":            "not a URL",
		"https://ada:pa55word@issuer.example/%z": "not a URL",
	} {
		err := CheckEndpoint("token endpoint", raw, false)
		if says == "" {
			assert.NoError(t, err, raw)
			continue
		}
		assert.ErrorContains(t, err, says, raw)
		assert.ErrorContains(t, err, "token endpoint", raw)
		assert.NotContains(t, err.Error(), "pa55word")
	}
	for _, raw := range []string{"http://127.0.0.1:8080/token", "http://[::1]/token", "http://LOCALHOST/token"} {
		assert.NoError(t, CheckEndpoint("token endpoint", raw, true), raw)
	}
	assert.Error(t, CheckEndpoint("token endpoint", "http://issuer.example/", true), "only this machine")
}

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		is        func(string) bool
		good, bad []string
	}{
		"loopback": {IsLoopback, []string{"localhost", "Localhost", "127.0.0.1", "127.9.9.9", "::1",
			"::ffff:127.0.0.1"},
			[]string{"", "localhost.", "issuer.example", "10.0.0.1", "0.0.0.0", "::"}},
		"scope": {
			IsScope, []string{"a", "https://graph.microsoft.com/.default", "a:b"},
			[]string{"a b", `a"b`, `a\b`, "ä", "a\n"},
		},
		"label":  {IsLabel, []string{"a", "contoso-2"}, []string{"", "-a", "a-", "a.b", strings.Repeat("a", 64)}},
		"policy": {IsPolicy, []string{"B2C_1_sign-in"}, []string{"", "a/b", "a b", strings.Repeat("a", 129)}},
		"region": {IsRegion, []string{"westeurope", "eastus2"}, []string{"", "West", "west europe", "a"}},
	} {
		for _, s := range c.good {
			assert.True(t, c.is(s), "%s %q", name, s)
		}
		for _, s := range c.bad {
			assert.False(t, c.is(s), "%s %q", name, s)
		}
	}
}

func TestEndpointName(t *testing.T) {
	for raw, want := range map[string]string{
		"https://issuer.example/token?code=secret": "https://issuer.example/token",
		"https://u:p@issuer.example:8443/a%2Fb#c":  "https://issuer.example:8443/a%2Fb",
		"https://[::1/": "token endpoint",
	} {
		assert.Equal(t, want, EndpointName(raw))
	}
}

// An endpoint that is accepted is over https, has a host and no user.
func FuzzCheckEndpoint(f *testing.F) {
	for _, seed := range []string{"https://a.example/t?x#y", "http://[::1%25lo]:1/", "https:///", "//a",
		"https://a@b@c/", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if err := CheckEndpoint("endpoint", raw, false); err != nil {
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		u, err := url.Parse(raw)
		assert.NoError(t, err)
		assert.Equal(t, "https", u.Scheme)
		assert.NotEmpty(t, u.Hostname())
		assert.Nil(t, u.User)
		assert.Empty(t, u.Fragment)
	})
}

func TestEntraHost(t *testing.T) {
	for name, host := range map[string]string{
		"login.microsoftonline.com":             "login.microsoftonline.com",
		"LOGIN.windows.net":                     "login.microsoftonline.com",
		"sts.windows.net":                       "login.microsoftonline.com",
		"login.usgovcloudapi.net":               "login.microsoftonline.us",
		"login.chinacloudapi.cn":                "login.partner.microsoftonline.cn",
		"login.sovcloud-identity.de":            "login.sovcloud-identity.de",
		"":                                      "",
		"microsoftonline.com":                   "",
		"login.microsoftonline.com.evil.test":   "",
		"xlogin.microsoftonline.com":            "",
		"westeurope.login.microsoft.com":        "",
		"login.microsoftonline.com:443":         "",
		"login.microsoftonline.com/contoso.com": "",
	} {
		assert.Equal(t, host, EntraHost(name), name)
	}
}
