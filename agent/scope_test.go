package agent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScopeIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		pattern, asked string
		want           bool
	}{
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com/.default", true},
		{"https://graph.microsoft.com/.default", "HTTPS://Graph.Microsoft.COM/.default", true},
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com//.default", true},
		{"https://graph.microsoft.com//.default", "https://graph.microsoft.com/.default", true},
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com/User.Read", false},
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com/.DEFAULT", false},
		{"https://graph.microsoft.com/.default", "http://graph.microsoft.com/.default", false},
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com.evil.example/.default", false},
		{"https://graph.microsoft.com/.default", "https://evil-graph.microsoft.com/.default", false},
		{"https://*.vault.azure.net/.default", "https://mine.vault.azure.net/.default", true},
		{"https://*.vault.azure.net/.default", "https://vault.azure.net/.default", false},
		{"https://*.vault.azure.net/.default", "https://a.b.vault.azure.net/.default", false},
		{"https://*.vault.azure.net/.default", "https://mine.vault.azure.net.evil/.default", false},
		{"https://*.vault.azure.net/.default", "https://mine.vault.azure.net/x/.default", false},
		{"https://org.*.dynamics.com/.default", "https://org.crm4.dynamics.com/.default", true},
		{"api://orders/.default", "api://orders/.default", true},
		{"api://Orders/.default", "api://orders/.default", false},
		{"api://orders/.default", "https://orders.example.com/.default", false},
		{"orders.read", "orders.read", true},
		{"orders.read", "orders.readall", false},
		{"499b84ac-1321-427f-aa17-267ca6975798/.default", "499B84AC-1321-427F-AA17-267CA6975798/.default", true},
		{"https://api.example.com/orders/.default", "https://api.example.com/orders/.default", true},
		{"https://api.example.com/orders/.default", "https://api.example.com/orders//.default", true},
		{"https://api.example.com/orders/.default", "https://api.example.com/Orders/.default", false},
	} {
		pattern, err := parsePattern(tt.pattern)
		require.NoError(t, err)
		asked, err := parseScope(tt.asked)
		require.NoError(t, err)
		assert.Equal(t, tt.want, pattern.allows(asked), "%s: %s", tt.pattern, tt.asked)
	}
}

func TestScopeIsRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "a b", "a\"b", `a\b`, "a\x00", "ü", strings.Repeat("a", 513),
		"https://*.vault.azure.net/.default", // asked for
		"https://user@graph.microsoft.com/.default",
		"https://graph.microsoft.com@evil.example/.default",
		"https://graph.microsoft.com:443/.default",
		"https://graph.microsoft.com:/.default",
		"https://graph.microsoft.com./.default",
		"https://.graph.microsoft.com/.default",
		"https://graph..microsoft.com/.default",
		"https://127.0.0.1/.default",
		"https://0x7f.0.0.0x1/.default",
		"https://[::1]/.default",
		"https://2130706433/.default",
		"https://localhost/.default",
		"https:///.default",
		"https://graph.microsoft.com%2eevil.example/.default",
		"https://graph.microsoft.com/%2e%2e/.default",
		"https://graph.microsoft.com/../.default",
		"https://graph.microsoft.com/./x/.default",
		"https://graph.microsoft.com///.default",
		"https://graph.microsoft.com/a//b/.default",
		"https://graph.microsoft.com/?x=/.default",
		"https://graph.microsoft.com/#/.default",
		"https://graph_microsoft.com/.default",
		"https://-a.example.com/.default",
		"://graph.microsoft.com/.default",
		"*", "orders.*", "*/.default",
	} {
		_, err := parseScope(text)
		assert.Error(t, err, text)
	}
	for _, text := range []string{
		"*", "https://*/.default", "https://*.com/.default", "https://a.*.net/.default", "https://a.*/.default",
		"https://a*.vault.azure.net/.default", "https://**.vault.azure.net/.default", "https://*.vault.azure.net/*",
		"https://*.vault.azure.net:443/.default", "*.vault.azure.net", "orders.*",
	} {
		_, err := parsePattern(text)
		assert.Error(t, err, text)
	}
}

// What is sent is what was asked for, with its slash.
func TestScopeOfResource(t *testing.T) {
	for resource, want := range map[string]string{
		"https://graph.microsoft.com":          "https://graph.microsoft.com/.default",
		"https://database.windows.net/":        "https://database.windows.net//.default",
		"https://Graph.Microsoft.com":          "https://graph.microsoft.com/.default",
		"https://api.example.com/orders/":      "https://api.example.com/orders//.default",
		"api://Orders":                         "api://Orders/.default",
		"499b84ac-1321-427f-aa17-267ca6975798": "499b84ac-1321-427f-aa17-267ca6975798/.default",
	} {
		got, err := scopeOfResource(resource)
		require.NoError(t, err, resource)
		assert.Equal(t, want, got.String())
	}
}

// Whatever is allowed by the pattern for vaults leads to a vault and nowhere else,
// however it is read.
func FuzzScope(f *testing.F) {
	for _, seed := range []string{
		"https://mine.vault.azure.net/.default", "https://mine.vault.azure.net//.default",
		"https://mine.vault.azure.net.evil/.default", "https://evil@mine.vault.azure.net/.default",
		"https://evil#.vault.azure.net/.default", `https://evil\.vault.azure.net/.default`,
		"HTTPS://A.VAULT.azure.NET/.default",
		"orders.read", "api://x/y",
	} {
		f.Add(seed)
	}
	pattern, err := parsePattern("https://*.vault.azure.net/.default")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseScope(text)
		if err != nil {
			return
		}
		again, err := parseScope(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		if !pattern.allows(s) {
			return
		}
		host, ok := strings.CutPrefix(s.String(), "https://")
		require.True(t, ok)
		host, _, _ = strings.Cut(host, "/")
		name, ok := strings.CutSuffix(host, ".vault.azure.net")
		require.True(t, ok)
		require.NotContains(t, name, ".")
		require.Regexp(t, "^[a-z0-9-]+$", name)
	})
}
