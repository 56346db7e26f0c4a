package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// The benchmarks are the command's subjects, one by one, for a profile or a
// comparison of two commits:
//
//	go test -bench Hit -cpuprofile cpu.out .

func benchIdentity(b *testing.B) identity {
	b.Helper()
	id, err := newIdentity()
	require.NoError(b, err)
	return id
}

// both runs an operation serially and in parallel.
func both(b *testing.B, name string, op func(i int)) {
	b.Helper()
	b.Run(name+"/serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			op(i)
		}
	})
	b.Run(name+"/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				op(i)
			}
		})
	})
}

func BenchmarkHit(b *testing.B) {
	id := benchIdentity(b)
	for _, size := range []int{1, 1_000, 10_000, 100_000} {
		scopes := scopeNames(size)
		ours, client, err := oursFilled(id, scopes)
		require.NoError(b, err)
		both(b, fmt.Sprintf("certtoken/%d", size), ours.op)
		both(b, fmt.Sprintf("map/%d", size), mapFilled(scopes).op)
		if size == 1 {
			both(b, "certtoken TokenSource/1", handleHit(client, scopes[0]))
			both(b, "certtoken three scopes/1", severalHit(client))
			both(b, "oauth2/1", oauth2Hit(id))
		}
		if size <= 1_000 {
			msal, err := msalFilled(scopes)
			require.NoError(b, err)
			both(b, fmt.Sprintf("MSAL/%d", size), msal.op)
			azid, err := azidentityFilled(scopes)
			require.NoError(b, err)
			both(b, fmt.Sprintf("azidentity/%d", size), azid.op)
		}
		require.NoError(b, client.Close())
	}
}

func BenchmarkAssertion(b *testing.B) {
	id := benchIdentity(b)
	assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
	for name, cert := range map[string]*certtoken.Certificate{"free": id.free, "PS256": id.cert} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := assertion.Sign(context.Background(), cert)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkCold(b *testing.B) {
	id := benchIdentity(b)
	for _, m := range makers() {
		for name, id := range map[string]identity{"signed": id, "free": {cert: id.free, free: id.free}} {
			if m.library == nameOAuth2 {
				continue // its cold way is the one by hand
			}
			b.Run(m.library+"/"+name, func(b *testing.B) {
				get, done, err := m.make(newEndpoint(), id)
				require.NoError(b, err)
				defer done()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					require.NoError(b, get(context.Background(), fmt.Sprintf("api://cold-%08d/.default", i)))
				}
			})
		}
	}
	b.Run("by hand/signed", func(b *testing.B) {
		hand := newByHand(newEndpoint(), id, "scope")
		b.ReportAllocs()
		for b.Loop() {
			_, err := hand.Token()
			require.NoError(b, err)
		}
	})
}

// TestEndpoint makes sure that every library gets a token from the endpoint and
// keeps it: a benchmark of failures would be fast.
func TestEndpoint(t *testing.T) {
	id, err := newIdentity()
	require.NoError(t, err)
	for _, m := range makers() {
		t.Run(m.library, func(t *testing.T) {
			e := newEndpoint()
			get, done, err := m.make(e, id)
			require.NoError(t, err)
			defer done()
			for range 3 {
				require.NoError(t, get(t.Context(), "api://one/.default"))
			}
			require.EqualValues(t, 1, e.requests.Load())
		})
	}
}

// TestMedian covers both kinds of middle.
func TestMedian(t *testing.T) {
	require.InDelta(t, 2, samples{3, 1, 2}.median(), 0)
	require.InDelta(t, 2.5, samples{4, 1, 2, 3}.median(), 0)
	require.InDelta(t, 2, samples{2, 4, 8}.over(samples{1, 2, 4}), 0)
}

// What DPoP adds to a request: a proof, which is one signature with P-256, and nothing where
// the client has no key for proofs.
func BenchmarkProof(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	digest := sha256.Sum256([]byte("a proof"))
	both(b, "P-256 signature alone", func(int) { _, _ = ecdsa.SignASN1(rand.Reader, key, digest[:]) })
	for name, opts := range map[string][]certtoken.AuthorityOption{
		"DPoP": {certtoken.WithDPoP()}, "Bearer": nil,
	} {
		srv := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithDPoP(certtokentest.DPoPRules{}))
		cert := certtokentest.NewCertificate(b, certtokentest.WithSharedKey())
		srv.Register("app", cert.Leaf)
		client, err := certtoken.NewClient(srv.Authority(opts...), "app", cert, certtoken.WithHTTPClient(srv.Client()))
		require.NoError(b, err)
		b.Cleanup(func() { _ = client.Close() })
		token, err := client.Token(b.Context(), "read")
		require.NoError(b, err)
		ctx := b.Context()
		both(b, name+" hit", func(int) { _, _ = client.Token(ctx, "read") })
		hc := &http.Client{Transport: client.Transport(nothing{}, "read")}
		both(b, name+" request", func(int) {
			resp, err := hc.Get("https://api.example/things")
			if err == nil {
				resp.Body.Close()
			}
		})
		if len(opts) > 0 {
			both(b, "Client.Proof",
				func(int) { _, _ = client.Proof(token, http.MethodGet, "https://api.example/things") })
		}
	}
}

// nothing answers every request at once.
type nothing struct{}

func (nothing) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}
