package syntax

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	set, err := ParseHosts([]string{
		"Graph.Example.com", "*.share.example.com", "api.example.com:8443", "*.x.example.com:8443", "[::1]:8443", "127.0.0.1",
	})
	require.NoError(t, err)
	assert.False(t, set.Empty())
	for raw, want := range map[string]bool{
		"https://graph.example.com/v1.0/users?x": true,
		"https://GRAPH.example.com:443/":         true,
		"https://a.share.example.com/":           true,
		"https://A.Share.example.com:443/":       true,
		"https://api.example.com:8443/":          true,
		"https://a.x.example.com:8443/":          true,
		"https://[::1]:8443/":                    true,
		"http://127.0.0.1/":                      true,
		"http://127.0.0.1:80/":                   true,
		"https://user@graph.example.com/":        true,

		"https://graph.example.com:8443/":         false,
		"https://graph.example.com:80/":           false,
		"https://graph.example.com./":             false,
		"https://graph.example.com.evil.example/": false,
		"https://graph.example.com@evil.example/": false,
		"https://evil.example/graph.example.com":  false,
		"https://a.graph.example.com/":            false,
		"https://example.com/":                    false,
		"https://share.example.com/":              false,
		"https://.share.example.com/":             false,
		"https://a.b.share.example.com/":          false,
		"https://a.share.example.com:8443/":       false,
		"https://ashare.example.com/":             false,
		"https://api.example.com/":                false,
		"https://a.x.example.com/":                false,
		"https://[::1]/":                          false,
		"https://a.127.0.0.1/":                    false,
	} {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		assert.Equal(t, want, set.Has(u), raw)
	}
	none, err := ParseHosts(nil)
	require.NoError(t, err)
	assert.True(t, none.Empty())
}

func TestHostsThatAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "*", "*.", "*.com", "*.com:443", "*.1.2.3", "*.[::1]", "*.*.example.com", "a.*.example.com",
		"a*.example.com", "https://graph.example.com", "graph.example.com/", "user@graph.example.com",
		`"graph.example.com"`, "::1", ".example.com",
	} {
		_, err := ParseHosts([]string{"fine.example.com", name})
		assert.Error(t, err, name)
	}
}
