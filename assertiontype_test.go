package certtoken_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const spiffeType = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

// typedSource says of which type its assertions are.
type typedSource struct {
	certtoken.AssertionSource
	of string
}

func (s typedSource) AssertionType() string { return s.of }

// A source may name the type of its assertions.
func TestAssertionsNameTheirType(t *testing.T) {
	const id = "spiffe://example.org/app"
	for name, c := range map[string]struct {
		subject, of string
		says        string
	}{
		"JWT-SVID":       {subject: id, of: spiffeType},
		"another type":   {subject: id, of: "urn:example:other", says: "client_assertion_type 'urn:example:other' is"},
		"not a SPIFFE":   {subject: "somebody", of: spiffeType, says: "no JWT-SVID"},
		"no URI":         {subject: id, of: "jwt-spiffe", says: `its AssertionType "jwt-spiffe" is not a URI`},
		"empty":          {subject: id, of: "", says: "is not a URI"},
		"what breaks it": {subject: id, of: "urn:a\nb", says: "is not a URI"},
	} {
		t.Run(name, func(t *testing.T) {
			server := certtokentest.New(certtokentest.WithIssuer(""))
			trust := certtokentest.NewIdentityProvider("https://trust.example")
			server.Federate(appID, trust.Federation(c.subject, server.Issuer()))
			sign := func(_ context.Context, audience string) (string, error) {
				return trust.Assertion(c.subject, audience, time.Minute), nil
			}
			source := typedSource{certtoken.AssertionSourceFunc(sign), c.of}
			client, err := certtoken.NewFederatedClient(server.Authority(), appID, source,
				certtoken.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, client.Close()) })
			_, err = client.Token(t.Context(), "read")
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, spiffeType, server.Requests()[0].Form.Get("client_assertion_type"))
		})
	}
}
