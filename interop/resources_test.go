package interop

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// jwtClaims are those of a JWT, unverified.
func jwtClaims(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	require.Len(t, parts, 3, "it is no JWT")
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(data, &claims))
	return claims
}

// Resource indicators (RFC 8707) at oidc-provider: each resource has tokens of its own, for
// itself, and what the server refuses is said.
func TestResourceIndicators(t *testing.T) {
	if err := lacksNode(); err != nil {
		missing(t, err)
		t.Skipf("oidc-provider can't be asked: %v", err)
	}
	j := oidcProvider(t, "plain")
	cert := newCertificate(t, "resources")
	j.register(t, registration{id: "resources", keys: []key{keyOf(cert)}})
	client, err := certtoken.NewClient(j.authority(j.best()), "resources", cert,
		certtoken.WithHTTPClient(j.http), patient)
	require.NoError(t, err)
	defer client.Close()
	request := func(resources ...string) certtoken.Request {
		return certtoken.Request{Scopes: []string{scope}, Parameters: url.Values{"resource": resources}}
	}
	seen := make(map[string]bool)
	for _, resource := range []string{
		"https://orders.example", "https://orders.example/v2", "https://billing.example/?v=1",
	} {
		token, err := client.Acquire(t.Context(), request(resource))
		require.NoError(t, err, resource)
		assert.Equal(t, resource, jwtClaims(t, token.AccessToken())["aud"])
		again, err := client.Acquire(t.Context(), request(resource))
		require.NoError(t, err)
		assert.Same(t, token, again, "from the cache")
		assert.False(t, seen[token.AccessToken()])
		seen[token.AccessToken()] = true
	}
	plain, err := client.Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, "https://api.example", jwtClaims(t, plain.AccessToken())["aud"], "the server's default")

	for name, resources := range map[string][]string{
		"two":         {"https://orders.example", "https://billing.example"}, // for this grant it takes one
		"no URI":      {"orders"},
		"a fragment":  {"https://orders.example/#x"},
		"not allowed": {"https://forbidden.example"},
	} {
		_, err := client.Acquire(t.Context(), request(resources...))
		var refused *certtoken.TokenError
		require.ErrorAs(t, err, &refused, name)
		assert.Equal(t, "invalid_target", refused.Code, name)
		assert.NotEmpty(t, refused.Advice(), name)
	}
}
