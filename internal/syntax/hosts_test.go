package syntax

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHosts(t *testing.T) {
	set, err := ParseHosts([]string{
		"Graph.Example.com", "*.share.example.com", "api.example.com:8443", "*.x.example.com:8443",
		"[::1]:8443", "127.0.0.1",
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

// A host that is in the set is one of the names, or has one label in place of a star.
func FuzzHosts(f *testing.F) {
	for _, seed := range []string{
		"https://graph.example.com:443/", "https://a.share.example.com", "https://a.b.share.example.com",
		"https://share.example.com.", "https://a_b.share.example.com",
		"https://graph.example.com:/", "https://x@graph.example.com:1/", "https://graph.example.com%2eevil/",
		"http://[::1%25lo]/",
	} {
		f.Add(seed)
	}
	set, err := ParseHosts([]string{"graph.example.com", "*.share.example.com"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || !set.Has(u) {
			return
		}
		host, err := Host(strings.TrimSuffix(u.Host, ":")) // a URL's port may be empty (RFC 3986 §3.2.3)
		require.NoError(t, err)
		label, isBelow := strings.CutSuffix(host, ".share.example.com")
		assert.True(t, host == "graph.example.com" || isBelow && !strings.Contains(label, ".") && label != "", raw)
	})
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
