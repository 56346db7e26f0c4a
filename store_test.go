package certtoken_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const scope = "https://graph.microsoft.com/.default"

var (
	storeSecret  = bytes.Repeat([]byte{1}, 32)
	storeSecret2 = bytes.Repeat([]byte{2}, 32)
)

// process is a client with a store, as one of a fleet.
func process(
	t testing.TB,
	srv *certtokentest.Server,
	cert *certtoken.Certificate,
	store certtoken.Store,
	opts ...certtoken.Option,
) *certtoken.Client {
	t.Helper()
	opts = append(
		[]certtoken.Option{certtoken.WithHTTPClient(srv.Client()), certtoken.WithStore(store, storeSecret)},
		opts...)
	client, err := certtoken.NewClient(certtoken.Entra(tenantID), clientID, cert, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func fleet(t testing.TB) (*certtokentest.Server, *certtoken.Certificate) {
	t.Helper()
	srv := certtokentest.New()
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	srv.Register(clientID, cert.Leaf)
	return srv, cert
}

func TestMemoryStore(t *testing.T) {
	certtokentest.TestStore(t, func(*testing.T) certtoken.Store { return certtoken.NewMemoryStore() })
}

func TestStoreIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		store := certtoken.NewMemoryStore()
		a, b := process(t, srv, cert, store), process(t, srv, cert, store)
		first, err := a.Token(t.Context(), scope)
		require.NoError(t, err)
		second, err := b.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, 1, srv.Count())
		assert.Equal(t, first.AccessToken(), second.AccessToken())
		assert.Equal(t, first.ExpiresAt().Unix(), second.ExpiresAt().Unix())
		assert.Equal(t, first.RenewAt().Unix(), second.RenewAt().Unix())
		assert.Equal(t, first.Scopes(), second.Scopes())
		assert.Equal(t, first.Type(), second.Type())
		assert.Equal(t, first.Extra("ext_expires_in"), second.Extra("ext_expires_in"))

		// One process renews, the other takes over the new token.
		time.Sleep(time.Until(first.RenewAt()) + time.Second)
		for _, client := range []*certtoken.Client{a, b} {
			_, err := client.Token(t.Context(), scope)
			require.NoError(t, err)
			synctest.Wait()
		}
		assert.Equal(t, 2, srv.Count())
		newA, err := a.Token(t.Context(), scope)
		require.NoError(t, err)
		newB, err := b.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken(), newA.AccessToken())
		assert.Equal(t, newA.AccessToken(), newB.AccessToken())

		// Past the cache is past the store, and what comes is shared.
		fresh, err := a.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 3, srv.Count())
		other, err := process(t, srv, cert, store).Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, fresh.AccessToken(), other.AccessToken())
	})
}

func TestAFleetAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		srv.FailAlways(certtokentest.Fault{Delay: 2 * time.Second})
		store := certtoken.NewMemoryStore()
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			client := process(t, srv, cert, store)
			wg.Go(func() {
				_, err := client.Token(t.Context(), scope)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, srv.Count())
		assert.Less(t, time.Since(start), 3*time.Second)
	})
}

// The lock's holder dies: the others go on before their callers give up.
func TestADeadLockHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		client := process(t, srv, cert, lockedForever{certtoken.NewMemoryStore()})
		start := time.Now()
		_, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(start), 11*time.Second)
	})
}

type lockedForever struct{ certtoken.Store }

func (lockedForever) TryLock(context.Context, string, time.Duration) (func(context.Context) error, error) {
	return nil, nil
}

// spyStore notes what is stored.
type spyStore struct {
	certtoken.Store
	mu      sync.Mutex
	entries map[string][]byte
	ttl     time.Duration
}

func (s *spyStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[string][]byte)
	}
	s.entries[key], s.ttl = bytes.Clone(value), ttl
	return s.Store.Set(ctx, key, value, ttl)
}

func TestStoreLearnsNothing(t *testing.T) {
	srv, cert := fleet(t)
	spy := &spyStore{Store: certtoken.NewMemoryStore()}
	client := process(t, srv, cert, spy, certtoken.WithTenants("other.example"))
	tok, err := client.Token(t.Context(), scope)
	require.NoError(t, err)
	_, err = client.Token(t.Context(), "https://vault.azure.net/.default")
	require.NoError(t, err)
	_, err = client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Tenant: "other.example"})
	require.NoError(t, err)
	require.NoError(t, client.Close(), "what is under way is stored")
	assert.Len(t, spy.entries, 3, "another scope and another tenant are other entries")
	for key, value := range spy.entries {
		assert.Regexp(t, `^certtoken-[A-Za-z0-9_-]{43}$`, key)
		assert.NotContains(t, string(value), tok.AccessToken()[:20])
		assert.NotContains(t, string(value), "access_token")
		assert.NotContains(t, string(value), "graph")
	}
	assert.Greater(t, spy.ttl, 50*time.Minute)
	assert.LessOrEqual(t, spy.ttl, time.Hour)
}

// Scopes in another order are the same entry.
func TestStoreNamesIgnoreOrder(t *testing.T) {
	srv := certtokentest.New(certtokentest.WithIssuer("https://issuer.example"))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	srv.Register(clientID, cert.Leaf)
	store := certtoken.NewMemoryStore()
	for _, scopes := range [][]string{{"a", "b"}, {"b", "a"}} {
		client, err := certtoken.NewClient(
			srv.Authority(),
			clientID,
			cert,
			certtoken.WithHTTPClient(srv.Client()),
			certtoken.WithStore(store, storeSecret),
		)
		require.NoError(t, err)
		_, err = client.Token(t.Context(), scopes...)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}
	assert.Equal(t, 1, srv.Count())
}

func TestStoreKeyRotation(t *testing.T) {
	srv, cert := fleet(t)
	store := certtoken.NewMemoryStore()
	old := process(t, srv, cert, store)
	_, err := old.Token(t.Context(), scope)
	require.NoError(t, err)
	require.NoError(t, old.Close())

	// With the new key in front, what the old one sealed is still read.
	_, err = process(
		t,
		srv,
		cert,
		store,
		certtoken.WithStore(store, storeSecret2, storeSecret),
	).Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, 1, srv.Count())
	// Without the old key it isn't.
	_, err = process(t, srv, cert, store, certtoken.WithStore(store, storeSecret2)).Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, 2, srv.Count())
}

// hostile is a store that does one thing wrong.
type hostile struct {
	certtoken.Store
	get func(ctx context.Context, key string) ([]byte, error)
	set func(ctx context.Context) error
}

func (h hostile) Get(ctx context.Context, key string) ([]byte, error) {
	if h.get == nil {
		return h.Store.Get(ctx, key)
	}
	return h.get(ctx, key)
}

func (h hostile) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if h.set == nil {
		return h.Store.Set(ctx, key, value, ttl)
	}
	return h.set(ctx)
}

func TestABrokenStoreNeverFailsACaller(t *testing.T) {
	// What another process stored for another scope.
	srv, cert := fleet(t)
	spy := &spyStore{Store: certtoken.NewMemoryStore()}
	client := process(t, srv, cert, spy)
	_, err := client.Token(t.Context(), "https://vault.azure.net/.default")
	require.NoError(t, err)
	require.NoError(t, client.Close())
	var other []byte
	for _, value := range spy.entries {
		other = value
	}
	broken := errors.New("connection refused")
	cases := map[string]struct {
		store  hostile
		silent bool // a miss, which is nothing to report
	}{
		"miss": {
			hostile{get: func(context.Context, string) ([]byte, error) { return nil, certtoken.ErrStoreMiss }},
			true,
		},
		"get fails": {
			hostile{get: func(context.Context, string) ([]byte, error) { return nil, broken }},
			false,
		},
		"set fails":         {hostile{set: func(context.Context) error { return broken }}, false},
		"nothing, no error": {hostile{get: func(context.Context, string) ([]byte, error) { return nil, nil }}, false},
		"garbage": {
			hostile{get: func(context.Context, string) ([]byte, error) { return []byte("garbage"), nil }},
			false,
		},
		"version alone": {
			hostile{get: func(context.Context, string) ([]byte, error) { return []byte{1}, nil }},
			false,
		},
		"an unknown version": {
			hostile{get: func(context.Context, string) ([]byte, error) { return append([]byte{9}, other[1:]...), nil }},
			false,
		},
		"another key's entry": {
			hostile{get: func(context.Context, string) ([]byte, error) { return other, nil }},
			false,
		},
		"a changed entry": {hostile{get: func(context.Context, string) ([]byte, error) {
			return append(bytes.Clone(other[:len(other)-1]), other[len(other)-1]^1), nil
		}}, false},
		"far too large": {
			hostile{get: func(context.Context, string) ([]byte, error) { return make([]byte, 5<<20), nil }},
			false,
		},
		"panics": {hostile{get: func(context.Context, string) ([]byte, error) { panic("boom") }}, false},
		"hangs": {
			hostile{get: func(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }},
			false,
		},
		"ignores its context": {
			hostile{get: func(context.Context, string) ([]byte, error) { time.Sleep(time.Minute); return nil, broken }},
			false,
		},
		"set ignores its time": {
			hostile{set: func(context.Context) error { time.Sleep(time.Minute); return nil }},
			false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, cert := fleet(t)
				c.store.Store = certtoken.NewMemoryStore()
				var reported atomic.Int64
				client := process(
					t,
					srv,
					cert,
					c.store,
					certtoken.WithHooks(certtoken.Hooks{StoreFailed: func(e certtoken.Event) {
						assert.ErrorContains(t, e.Err, "certtoken: store")
						reported.Add(1)
					}}),
				)
				start := time.Now()
				_, err := client.Token(t.Context(), scope)
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(start), time.Second)
				_, err = client.Token(t.Context(), scope)
				require.NoError(t, err)
				assert.Equal(t, 1, srv.Count(), "the client's own cache works")
				time.Sleep(2 * time.Minute) // calls that ignore their context come to an end
				assert.Equal(t, c.silent, reported.Load() == 0)
			})
		})
	}
}

// A store that is down isn't asked again and again.
func TestABrokenStoreIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		var asked atomic.Int64
		client := process(
			t,
			srv,
			cert,
			hostile{Store: certtoken.NewMemoryStore(), get: func(ctx context.Context, _ string) ([]byte, error) {
				asked.Add(1)
				<-ctx.Done()
				return nil, ctx.Err()
			}},
		)
		for i := range 20 {
			_, err := client.Token(t.Context(), "https://r"+strings.Repeat("x", i)+".example/.default")
			require.NoError(t, err)
		}
		assert.EqualValues(t, 1, asked.Load())
		time.Sleep(6 * time.Second)
		_, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.EqualValues(t, 2, asked.Load())
	})
}

// Who waits for another process's lock looks at the entry many times, and tells
// once that it can't be read.
func TestAnUnreadableEntryIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		var looks, told atomic.Int64
		store := lockedStore{
			hostile{Store: certtoken.NewMemoryStore(), get: func(context.Context, string) ([]byte, error) {
				looks.Add(1)
				return []byte("garbage"), nil
			}},
		}
		client := process(
			t,
			srv,
			cert,
			store,
			certtoken.WithHooks(certtoken.Hooks{StoreFailed: func(certtoken.Event) { told.Add(1) }}),
		)
		_, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Greater(t, looks.Load(), int64(100))
		assert.EqualValues(t, 1, told.Load())
	})
}

// lockedStore is a store whose locks are all held by another process.
type lockedStore struct{ certtoken.Store }

func (lockedStore) TryLock(context.Context, string, time.Duration) (func(context.Context) error, error) {
	return nil, nil
}

// An expired entry is of no use, whatever the store thinks.
func TestStoredTokensEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		srv.SetLifetime(time.Minute)
		spy := &spyStore{Store: certtoken.NewMemoryStore()}
		_, err := process(t, srv, cert, spy).Token(t.Context(), scope)
		require.NoError(t, err)
		synctest.Wait()
		spy.mu.Lock()
		entries := maps.Clone(spy.entries)
		spy.mu.Unlock()
		time.Sleep(2 * time.Minute)
		stale := hostile{
			Store: certtoken.NewMemoryStore(),
			get:   func(_ context.Context, key string) ([]byte, error) { return entries[key], nil },
		}
		tok, err := process(t, srv, cert, stale).Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, 2, srv.Count())
		assert.True(t, tok.ExpiresAt().After(time.Now()))
	})
}
