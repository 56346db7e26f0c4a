package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
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
