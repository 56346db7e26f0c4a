package certtoken_test

import (
	"net/http"
	"net/url"
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
