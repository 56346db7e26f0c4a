package certtoken_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// BenchmarkHitOfRequest measures a cached token of a request with parameters, of a user and
// with a least validity, by Acquire and by a handle. Beside it, "scope" is a request with
// nothing of this.
func BenchmarkHitOfRequest(b *testing.B) {
	cert, err := certtokentest.MakeCertificate()
	require.NoError(b, err)
	zero, err := certtoken.NewCertificate(zeroSigner{cert.Signer.Public()}, cert.Leaf, nil)
	require.NoError(b, err)
	client, err := certtoken.NewClient(certtoken.Issuer("https://as.example", "https://as.example/token"), clientID,
		zero,
		certtoken.WithHTTPClient(&http.Client{Transport: granter{}}))
	require.NoError(b, err)
	b.Cleanup(func() { _ = client.Close() })
	scopes := []string{"read"}
	one := url.Values{"resource": {"https://api.example.com/orders"}}
	several := url.Values{
		"resource": {"https://api.example.com/orders", "https://api.example.com/bills"}, "audience": {"orders"},
		"authorization_details": {details},
	}
	for _, c := range []struct {
		name string
		req  certtoken.Request
	}{
		{"scope", certtoken.Request{Scopes: scopes}},
		{"a parameter", certtoken.Request{Scopes: scopes, Parameters: one}},
		{"four values", certtoken.Request{Scopes: scopes, Parameters: several}},
		{"a user", certtoken.Request{Scopes: scopes, Grant: certtoken.OnBehalfOf("ada")}},
		{"all", certtoken.Request{
			Scopes: scopes, Parameters: several, Grant: certtoken.OnBehalfOf("ada"), MinValidity: 1e9,
		}},
	} {
		_, err := client.Acquire(b.Context(), c.req)
		require.NoError(b, err)
		source, err := client.TokenSourceFor(c.req)
		require.NoError(b, err)
		_, err = source.Token()
		require.NoError(b, err)
		ctx := b.Context()
		for way, f := range map[string]func() error{
			"Acquire":     func() error { _, err := client.Acquire(ctx, c.req); return err },
			"TokenSource": func() error { _, err := source.Token(); return err },
		} {
			b.Run(c.name+"/"+way, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
