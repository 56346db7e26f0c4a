package gitcredential

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	hosts, err := NewHosts([]string{"git.example.com:8443", "*.internal.example"})
	require.NoError(t, err)
	for host, want := range map[string]bool{
		"dev.azure.com":                     true,
		"DEV.azure.com":                     true,
		"contoso.visualstudio.com":          true,
		"a.b.visualstudio.com":              true,
		"git.example.com:8443":              true,
		"x.internal.example":                true,
		"visualstudio.com":                  false,
		"evilvisualstudio.com":              false,
		"evil-dev.azure.com":                false,
		"x.dev.azure.com":                   false,
		"dev.azure.com.evil.example":        false,
		"dev.azure.com:8443":                false,
		"dev.azure.com:443":                 false,
		"dev.azure.com:":                    false,
		"dev.azure.com.":                    false,
		".visualstudio.com":                 false,
		"user@dev.azure.com":                false,
		"evil.example/dev.azure.com":        false,
		"evil.example#.visualstudio.com":    false,
		"evil.example?.visualstudio.com":    false,
		`evil.example\.visualstudio.com`:    false,
		"evil.example%2f.visualstudio.com":  false,
		"evil.example:x.visualstudio.com":   false,
		"evil.example\x00.visualstudio.com": false,
		"dev.azure.com ":                    false,
		"ⅾev.azure.com":                     false,
		"git.example.com":                   false,
		"internal.example":                  false,
		"":                                  false,
		"github.com":                        false,
	} {
		assert.Equal(t, want, hosts.Has(&Request{Protocol: "https", Host: host}), host)
		for _, protocol := range []string{"http", "ssh", "HTTPS", ""} {
			assert.False(t, hosts.Has(&Request{Protocol: protocol, Host: host}), protocol)
		}
	}
	for _, bad := range []string{
		"", "*", "*.", "*.com", "a*.example.com", "https://x.example", "x/y", "a.*.example.com", "x:",
	} {
		_, err := NewHosts([]string{bad})
		require.Error(t, err, bad)
	}
}

func TestRead(t *testing.T) {
	r, err := Read(strings.NewReader("capability[]=authtype\ncapability[]=state\nprotocol=https\r\n" +
		"host=dev.azure.com\nwwwauth[]=Bearer\nfuture=x=y\nusername=a\n\nhost=evil.example\n"))
	require.NoError(t, err)
	assert.Equal(t, &Request{Protocol: "https", Host: "dev.azure.com", Username: "a", AuthType: true}, r)
	r, err = Read(strings.NewReader("protocol=https\nhost=dev.azure.com"))
	require.NoError(t, err)
	assert.Equal(t, &Request{Protocol: "https", Host: "dev.azure.com"}, r)
	for _, bad := range []string{
		"protocol\n", "host=a\x00b\n", "x=" + strings.Repeat("x", maxLine) + "\n",
		strings.Repeat("x=y\n", maxRequest/4+1),
	} {
		_, err := Read(strings.NewReader(bad))
		require.Error(t, err)
	}
}

func TestWrite(t *testing.T) {
	c := &Credential{Token: "T", ExpiresAt: time.Unix(1700000000, 5)}
	const end = "password_expiry_utc=1700000000\n\n"
	for want, r := range map[string]*Request{
		"capability[]=authtype\nauthtype=Bearer\ncredential=T\nephemeral=1\n": {AuthType: true},
		"username=certtoken\npassword=T\n":                                    {},
		"username=me\npassword=T\n":                                           {Username: "me"},
	} {
		var b strings.Builder
		require.NoError(t, c.Write(&b, r))
		assert.Equal(t, want+end, b.String())
	}
	c.Token = "T\npassword=x"
	require.Error(t, c.Write(&strings.Builder{}, &Request{}))
}

func FuzzRead(f *testing.F) {
	f.Add("capability[]=authtype\nprotocol=https\nhost=dev.azure.com\n\n")
	f.Add("protocol=https\nhost=dev.azure.com.evil.example\n")
	hosts, err := NewHosts(nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err != nil || !hosts.Has(r) {
			return
		}
		require.Regexp(t, `(?i)^(dev\.azure\.com|([a-z0-9-]+\.)+visualstudio\.com)$`, r.Host)
	})
}
