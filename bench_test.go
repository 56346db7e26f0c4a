package certtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// zeroSigner signs with zeros. A benchmark that fills a cache with 10,000 tokens would
// spend most of its time on RSA signatures otherwise.
type zeroSigner struct{ public crypto.PublicKey }

func (s zeroSigner) Public() crypto.PublicKey { return s.public }

func (s zeroSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, s.public.(*rsa.PublicKey).Size()), nil
}

// granter grants an opaque token to every request, without a connection.
type granter struct{}

func (granter) RoundTrip(req *http.Request) (*http.Response, error) {
	body := `{"access_token":"` + strings.Repeat("x", 1536) + `","token_type":"Bearer","expires_in":3600}`
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

// filledClient has a token for each of n scopes, "scope0" and so on, in its cache.
func filledClient(b *testing.B, n int) *certtoken.Client {
	b.Helper()
	cert, err := certtokentest.MakeCertificate()
	require.NoError(b, err)
	zero, err := certtoken.NewCertificate(zeroSigner{cert.Signer.Public()}, cert.Leaf, nil)
	require.NoError(b, err)
	authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/token")
	client, err := certtoken.NewClient(authority, clientID, zero,
		certtoken.WithHTTPClient(&http.Client{Transport: granter{}}))
	require.NoError(b, err)
	b.Cleanup(func() { _ = client.Close() })
	for i := range n {
		_, err := client.Token(b.Context(), fmt.Sprint("scope", i))
		require.NoError(b, err)
	}
	return client
}

// BenchmarkHit measures a cached token, with one token and with 10,000 in the cache,
// beside x/oauth2's in the same run. It uses the public API only, so that it also builds
// at older commits. The module in bench/ compares more, at more sizes.
func BenchmarkHit(b *testing.B) {
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
	ctx := context.Background()
	for _, tokens := range []int{1, 10_000} {
		client := filledClient(b, tokens)
		ts := client.TokenSource("scope0")
		both(fmt.Sprintf("Token/%d", tokens), func() error { _, err := client.Token(ctx, "scope0"); return err })
		both(fmt.Sprintf("TokenSource/%d", tokens), func() error { _, err := ts.Token(); return err })
	}
	client := filledClient(b, 100)
	_, err := client.Token(ctx, "a", "b", "c")
	require.NoError(b, err)
	both("Token of three scopes, turned", func() error { _, err := client.Token(ctx, "c", "a", "b"); return err })
	reuse := oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: "x", Expiry: time.Now().Add(time.Hour)}, nil)
	both("oauth2.ReuseTokenSource", func() error { _, err := reuse.Token(); return err })
}

// certificates are one for each kind of key, made without this package's help. A kind that
// an older commit doesn't know is missing.
func certificates(b *testing.B) map[string]*certtoken.Certificate {
	b.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(b, err)
	keys := map[string]crypto.Signer{"RSA": rsaKey, "Ed25519": edKey}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(b, err)
		keys[curve.Params().Name] = key
	}
	all := make(map[string]*certtoken.Certificate)
	for kind, key := range keys {
		leaf := leafOf(b, key, time.Now().Add(-time.Minute), time.Hour)
		if cert, err := certtoken.NewCertificate(key, leaf, nil); err == nil {
			all[kind] = cert
		}
	}
	return all
}

// algorithmsOf are the algorithms that are measured, with the kind of their key.
var algorithmsOf = []struct{ alg, kind string }{
	{"RS256", "RSA"}, {"PS256", "RSA"}, {"RS512", "RSA"},
	{"ES256", "P-256"}, {"ES384", "P-384"}, {"ES512", "P-521"}, {"EdDSA", "Ed25519"},
}

// BenchmarkAssertion measures a signed assertion.
func BenchmarkAssertion(b *testing.B) {
	certs := certificates(b)
	for _, c := range algorithmsOf {
		b.Run(c.alg, func(b *testing.B) {
			cert := certs[c.kind]
			if cert == nil {
				b.Skip("this commit doesn't know such keys")
			}
			a := certtoken.Assertion{ClientID: clientID, Audience: tokenURL, Algorithm: certtoken.Algorithm(c.alg)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Sign(b.Context(), cert); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExchange measures an exchange with everything that this program does for it: the
// assertion, the request, the answer and the cache. The endpoint answers at once.
func BenchmarkExchange(b *testing.B) {
	certs := certificates(b)
	for _, c := range algorithmsOf {
		b.Run(c.alg, func(b *testing.B) {
			cert := certs[c.kind]
			if cert == nil {
				b.Skip("this commit doesn't know such keys")
			}
			authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/token",
				certtoken.WithAlgorithm(certtoken.Algorithm(c.alg)))
			client, err := certtoken.NewClient(authority, clientID, cert,
				certtoken.WithHTTPClient(&http.Client{Transport: granter{}}))
			require.NoError(b, err)
			defer client.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Acquire(b.Context(),
					certtoken.Request{Scopes: []string{"scope"}, Fresh: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
