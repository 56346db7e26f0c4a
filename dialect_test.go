package certtoken_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// RFC 8707 §2: a parameter may be sent several times.
func TestParametersGivenTwice(t *testing.T) {
	resource := func(value string) certtoken.AuthorityOption { return certtoken.WithParameter("resource", value) }
	both := certtoken.Issuer("https://as.example", "https://as.example/token",
		resource("https://a.example"), resource("https://b.example"),
		certtoken.WithQuery("p", "1"), certtoken.WithQuery("p", "2"))
	var wire recorder
	client, err := certtoken.NewClient(both, clientID, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
		certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "read")
	require.Error(t, err)
	assert.Equal(t, []string{"https://a.example", "https://b.example"}, wire.form["resource"])
	sent, err := url.Parse(wire.url)
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2"}, sent.Query()["p"])
}

// sentAssertion is the claims of the assertion that a client of an authority sends.
func sentAssertion(t *testing.T, authority certtoken.Authority) map[string]any {
	t.Helper()
	var wire recorder
	client, err := certtoken.NewClient(authority, clientID, freeCertificate(t),
		certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "read")
	require.Error(t, err, "the recorder grants nothing")
	_, rest, _ := strings.Cut(wire.form.Get("client_assertion"), ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	require.NoError(t, err)
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&claims))
	return claims
}

func issuerWith(opts ...certtoken.AuthorityOption) certtoken.Authority {
	return certtoken.Issuer("https://as.example", "https://as.example/token", opts...)
}

func TestAssertionClaims(t *testing.T) {
	given := map[string]any{
		"org":   map[string]any{"units": []any{"a", "b"}},
		"big":   int64(9007199254740993),
		"empty": nil,
	}
	base := issuerWith(certtoken.WithAssertionClaims(given))
	given["org"].(map[string]any)["units"].([]any)[0] = "changed"
	given["more"] = true
	claims := sentAssertion(t, base)
	assert.Equal(t, map[string]any{"units": []any{"a", "b"}}, claims["org"])
	assert.Equal(t, json.Number("9007199254740993"), claims["big"])
	assert.Contains(t, claims, "empty")
	assert.NotContains(t, claims, "more")
	assert.Len(t, claims, 7+3)
	assert.Equal(t, clientID, claims["sub"])

	twice := issuerWith(certtoken.WithAssertionClaims(map[string]any{"a": 1, "b": 1}),
		certtoken.WithAssertionClaims(map[string]any{"b": 2}))
	claims = sentAssertion(t, twice)
	assert.Equal(t, []any{json.Number("1"), json.Number("2")}, []any{claims["a"], claims["b"]})
}

func TestAssertionClaimsThatCantBeSent(t *testing.T) {
	cert := freeCertificate(t)
	for want, claims := range map[string]map[string]any{
		`claim "sub" is set by the library`:    {"sub": "secret-value"},
		`claim "jti" is set by the library`:    {"jti": nil},
		`the claim "" has no name`:             {"": "secret-value"},
		`the claim "f" has no name or can't b`: {"f": func() {}},
		"more than 16384 bytes":                {"long": strings.Repeat("secret-value", 2000)},
	} {
		_, err := certtoken.NewClient(issuerWith(certtoken.WithAssertionClaims(claims)), clientID, cert)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "secret-value")
	}
	_, err := certtoken.NewClient(issuerWith(certtoken.WithAssertionClaims(map[string]any{"a": 1}),
		certtoken.WithTLSClientAuth()), clientID, cert)
	require.ErrorContains(t, err, "WithAssertionClaims is for assertions")
	_, err = certtoken.NewFederatedClient(issuerWith(certtoken.WithAssertionClaims(map[string]any{"a": 1})), clientID,
		certtoken.AssertionFile("token"))
	require.ErrorContains(t, err, "a federated client signs no assertion")
	none := issuerWith(certtoken.WithAssertionClaims(nil), certtoken.WithTLSClientAuth())
	_, err = certtoken.NewClient(none, clientID, cert)
	require.NoError(t, err)
}
