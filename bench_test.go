package certtoken_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// BenchmarkHit measures a cached token beside x/oauth2's in the same run; the
// module in bench/ compares more, at more sizes.
func BenchmarkHit(b *testing.B) {
	srv := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithIssuer("https://issuer.example"))
	cert, err := certtokentest.MakeCertificate()
	require.NoError(b, err)
	srv.Register(clientID, cert.Leaf)
	client, err := certtoken.NewClient(srv.Authority(), clientID, cert, certtoken.WithHTTPClient(srv.Client()))
	require.NoError(b, err)
	defer client.Close()
	ctx := context.Background()
	for i := range 100 {
		_, err := client.Token(ctx, fmt.Sprint("scope", i))
		require.NoError(b, err)
	}
	_, err = client.Token(ctx, "a", "b", "c")
	require.NoError(b, err)
	ts := client.TokenSource("scope7")
	reuse := oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: "x", Expiry: time.Now().Add(time.Hour)}, nil)

	both := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := f(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	both("Token", func() error { _, err := client.Token(ctx, "scope7"); return err })
	both("Token of three scopes, turned", func() error { _, err := client.Token(ctx, "c", "a", "b"); return err })
	both("TokenSource", func() error { _, err := ts.Token(); return err })
	both("oauth2.ReuseTokenSource", func() error { _, err := reuse.Token(); return err })
}
