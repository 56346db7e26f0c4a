package syntax

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	for given, want := range map[string]string{
		"login.example.com":       "login.example.com",
		"Login.Example.COM":       "login.example.com",
		"login.example.com.":      "login.example.com",
		"login.example.com:443":   "login.example.com",
		"login.example.com.:443":  "login.example.com",
		"login.example.com:8443":  "login.example.com:8443",
		"login_1.example.com":     "login_1.example.com",
		"localhost":               "localhost",
		"127.0.0.1:8443":          "127.0.0.1:8443",
		"[::1]":                   "[::1]",
		"[::1]:443":               "[::1]",
		"[2001:DB8::1]:8443":      "[2001:db8::1]:8443",
		"":                        "",
		".":                       "",
		"a..example.com":          "",
		"login.example.com..":     "",
		`"login.example.com"`:     "",
		"login.example.com'":      "",
		"[login.example.com]":     "",
		"[::1":                    "",
		"[127.0.0.1]":             "",
		"[::1%lo]":                "",
		"[::1]x":                  "",
		"[::1]:":                  "",
		"::1":                     "",
		"login.example.com:":      "",
		"login.example.com:0":     "",
		"login.example.com:0443":  "",
		"login.example.com:65536": "",
		"login.example.com:+443":  "",
		"login.example.com:https": "",
		"login.example.com:1:2":   "",
		"https://x.example":       "",
		"user@x.example":          "",
		"x.example/path":          "",
		"x.example?q":             "",
		"x example":               "",
		"x.example\n":             "",
		"bücher.example":          "",
		"-x.example":              "",
		"*.example.com":           "",
		"x%2eexample":             "",
		strings.Repeat("a.", 200): "",
	} {
		got, err := Host(given)
		assert.Equal(t, want, got, given)
		assert.Equal(t, want == "", err != nil, given)
	}
}

// What Host accepts is the host of the URL that is made of it, and nothing more.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"login.example.com:443", "[::1]:8443", `"x"`, "a..b", "x.example.", "[::1%25lo]", "a:b:c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		host, err := Host(given)
		if err != nil {
			return
		}
		u, err := url.Parse("https://" + host + "/path")
		require.NoError(t, err)
		assert.Equal(t, host, u.Host)
		assert.Equal(t, "/path", u.Path)
		again, err := Host(host)
		require.NoError(t, err)
		assert.Equal(t, host, again)
	})
}

func TestOrigin(t *testing.T) {
	origin := func(raw string) string {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		return Origin(u)
	}
	for _, same := range [][]string{
		{"https://a.example/x", "HTTPS://A.example:443/y?z"},
		{"http://a.example", "http://a.example:80/"},
		{"https://[::1]/", "https://[::1]:443/"},
		{"https://a.example:8443", "https://A.example:8443/"},
	} {
		assert.Equal(t, origin(same[0]), origin(same[1]))
	}
	for _, other := range []string{
		"http://a.example/", "https://a.example:80/", "https://a.example:8443/", "https://a.example./",
		"https://x.a.example/", "https://a.example.com/", "http://a.example:443/",
	} {
		assert.NotEqual(t, origin("https://a.example/"), origin(other))
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "Localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.255.255.254": true,
		"::1": true, "::1%lo": true, "::ffff:127.0.0.1": true, "0:0:0:0:0:0:0:1": true,
		"": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "128.0.0.1": false,
		"::2": false, "0.0.0.0": false, "127.1": false, "fe80::1%lo": false,
	} {
		assert.Equal(t, want, IsLoopback(host), host)
	}
}
