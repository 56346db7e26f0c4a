package certtoken_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
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

// remoteStore works, but slowly, and another process holds its locks.
type remoteStore struct{ certtoken.Store }

func (r remoteStore) Get(ctx context.Context, key string) ([]byte, error) {
	time.Sleep(20 * time.Millisecond)
	return r.Store.Get(ctx, key)
}

func (r remoteStore) TryLock(ctx context.Context, _ string, _ time.Duration) (func(context.Context) error, error) {
	time.Sleep(20 * time.Millisecond)
	return nil, ctx.Err()
}

// When a caller stops waiting, or the client is closed, no failure of the store is reported.
func TestAStoreIsNotBlamedForOurEnd(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *certtoken.Client, *spyStore){
		"of the wait for a lock": func(t *testing.T, c *certtoken.Client, spy *spyStore) {
			_, err := c.Token(t.Context(), scope)
			require.NoError(t, err)
			time.Sleep(time.Second)
			spy.mu.Lock()
			defer spy.mu.Unlock()
			assert.NotEmpty(t, spy.entries, "the token is shared")
		},
		"of the client": func(t *testing.T, c *certtoken.Client, _ *spyStore) {
			go func() { _, _ = c.Token(t.Context(), scope) }()
			time.Sleep(5 * time.Millisecond)
			require.NoError(t, c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 { // at the very moment, either may come first
				synctest.Test(t, func(t *testing.T) {
					srv, cert := fleet(t)
					spy := &spyStore{Store: certtoken.NewMemoryStore()}
					client := process(t, srv, cert, remoteStore{spy}, certtoken.WithHooks(certtoken.Hooks{
						StoreFailed: func(e certtoken.Event) { assert.NoError(t, e.Err) }}))
					end(t, client, spy)
				})
			}
		})
	}
}

// A process that starts in an outage has what the fleet has, due or not.
func TestStoredTokenThatIsDueHelpsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		store := certtoken.NewMemoryStore()
		first, err := process(t, srv, cert, store).Token(t.Context(), scope)
		require.NoError(t, err)
		time.Sleep(time.Until(first.RenewAt()) + time.Second)
		srv.FailAlways(certtokentest.Fault{Status: 503})
		client := process(t, srv, cert, store)
		start := time.Now()
		token, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, first.AccessToken(), token.AccessToken())
		assert.Zero(t, time.Since(start))

		srv.ClearFaults()
		_, err = client.Token(t.Context(), scope) // starts the renewal
		require.NoError(t, err)
		synctest.Wait()
		token, err = client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken(), token.AccessToken())
	})
}

// One API's refusal of a token while the endpoint is down doesn't take the token from
// other callers: they keep it, in the cache and in the store, until a new one is there.
func TestARefusedTokenStaysUntilANewOneIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		store := certtoken.NewMemoryStore()
		client := process(t, srv, cert, store)
		first, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		synctest.Wait() // until it is stored
		api := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}
			if req.Header.Get("Authorization") == "Bearer "+first.AccessToken() {
				resp.StatusCode = http.StatusUnauthorized
				resp.Header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			}
			return resp, nil
		})
		hc := &http.Client{Transport: client.Transport(api, scope)}
		kept := func(by *certtoken.Client) {
			t.Helper()
			token, err := by.Token(t.Context(), scope)
			require.NoError(t, err)
			require.Equal(t, first.AccessToken(), token.AccessToken())
		}
		srv.FailAlways(certtokentest.Fault{Status: 503, Delay: time.Second})
		refused := make(chan int)
		go func() {
			resp, err := hc.Get("https://api.example.com/")
			refused <- status(t, resp, err)
		}()
		synctest.Wait()
		kept(client) // while a new one is asked for
		require.Equal(t, http.StatusUnauthorized, <-refused, "who was refused gets the 401")
		kept(client)
		kept(process(t, srv, cert, store))

		srv.ClearFaults()
		time.Sleep(time.Minute)
		resp, err := hc.Get("https://api.example.com/")
		require.Equal(t, http.StatusOK, status(t, resp, err))
		synctest.Wait()
		newer, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken(), newer.AccessToken())
		token, err := process(t, srv, cert, store).Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, newer.AccessToken(), token.AccessToken(), "and the store has the new one")
	})
}

// A source that panics doesn't take the fleet's lock with it.
func TestPanicReleasesTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		var asked atomic.Int32
		source := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
			if asked.Add(1) == 1 {
				panic("once")
			}
			return cert, nil
		})
		client, err := certtoken.NewClient(certtoken.Entra(tenantID), clientID, source,
			certtoken.WithHTTPClient(srv.Client()), certtoken.WithStore(certtoken.NewMemoryStore(), storeSecret))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), scope)
		require.ErrorContains(t, err, "panicked")
		start := time.Now()
		_, err = client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Less(t, time.Since(start), time.Second)
	})
}

// What a client declares that it can do is a part of what its tokens are.
func TestCapabilitiesShareNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, cert := fleet(t)
		store := certtoken.NewMemoryStore()
		for i, capabilities := range [][]string{nil, {"cp1"}, {"cp1", "cp2"}, {"cp2", "cp1"}} {
			client := process(t, srv, cert, store, certtoken.WithCapabilities(capabilities...))
			_, err := client.Token(t.Context(), scope)
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, min(i+1, 3), srv.Count())
		}
	})
}

// The clocks of processes differ. Whatever the difference, a stored token is never
// handed out after its end by the endpoint's clock, which here is always right.
func TestStoredTokensAndClocks(t *testing.T) {
	for name, c := range map[string]struct {
		writer, reader time.Duration // how far their clocks are off
		knows          bool          // the reader has had an answer of the endpoint before
		shared         bool          // the reader takes the stored token
		least          time.Duration // for which it is then handed out
	}{
		"both are right":                 {shared: true, least: 59 * time.Minute},
		"the writer's is ahead":          {writer: 40 * time.Minute},
		"the writer's is a little ahead": {writer: 50 * time.Second, shared: true, least: 58 * time.Minute},
		"the writer's is behind":         {writer: -30 * time.Minute, shared: true, least: 29 * time.Minute},
		"the reader's is behind":         {reader: -40 * time.Minute},
		"the reader's is behind, and it knows": {
			reader: -40 * time.Minute, knows: true, shared: true, least: 58 * time.Minute,
		},
		"the reader's is a little behind": {reader: -50 * time.Second, shared: true, least: 58 * time.Minute},
		"the reader's is ahead":           {reader: 30 * time.Minute, shared: true, least: 29 * time.Minute},
		"both are ahead, and the reader knows": {
			writer: 40 * time.Minute, reader: 40 * time.Minute, knows: true, shared: true, least: 19 * time.Minute,
		},
		"both are behind": {writer: -20 * time.Minute, reader: -20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, cert := fleet(t)
				srv.SetLifetime(time.Hour)
				store := certtoken.NewMemoryStore()
				writer, reader := process(t, srv, cert, store), process(t, srv, cert, store)
				certtoken.ShiftWall(writer, c.writer)
				certtoken.ShiftWall(reader, c.reader)
				if c.knows {
					_, err := reader.Token(t.Context(), "https://other.example/.default")
					require.NoError(t, err)
				}
				first, err := writer.Token(t.Context(), scope)
				require.NoError(t, err)
				ends := time.Now().Add(time.Hour)
				time.Sleep(time.Second)
				token, err := reader.Token(t.Context(), scope)
				require.NoError(t, err)
				require.Equal(t, c.shared, first.AccessToken() == token.AccessToken())
				if !c.shared {
					return
				}
				srv.FailAlways(certtokentest.Fault{Code: 53003})
				for handedOut := time.Now(); ; time.Sleep(10 * time.Second) {
					again, err := reader.Token(t.Context(), scope)
					if err != nil {
						assert.GreaterOrEqual(t, time.Since(handedOut), c.least)
						break
					}
					require.Equal(t, first.AccessToken(), again.AccessToken())
					require.True(t, time.Now().Before(ends), "it is over")
				}
			})
		})
	}
}

// RoundTrippers of tests and of careless programs: an error or a response, and
// never a panic.
func TestTransportOverOddRoundTrippers(t *testing.T) {
	refusal := http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
	for name, c := range map[string]struct {
		first *http.Response
		want  string
	}{
		"nothing":            {nil, "neither a response nor an error"},
		"a 401 without body": {&http.Response{StatusCode: http.StatusUnauthorized, Header: refusal}, ""},
		"a 401 with a body": {
			&http.Response{StatusCode: http.StatusUnauthorized, Header: refusal,
				Body: io.NopCloser(strings.NewReader("no"))},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				answers := []*http.Response{c.first, {StatusCode: http.StatusOK, Body: http.NoBody}}
				base := roundTripFunc(func(*http.Request) (*http.Response, error) {
					next := answers[0]
					answers = answers[1:]
					return next, nil
				})
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
				require.NoError(t, err)
				resp, err := r.client.Transport(base, graph).RoundTrip(req)
				if c.want != "" {
					require.ErrorContains(t, err, c.want)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, resp.StatusCode)
			})
		})
	}
	bubble(t, func(t *testing.T) {
		_, err := newRig(t).client.Transport(nil, graph).RoundTrip(new(http.Request))
		assert.ErrorContains(t, err, "no URL")
	})
}

// Zero values of the exported types give errors and don't panic.
func TestZeroValues(t *testing.T) {
	var client certtoken.Client
	_, err := client.Token(t.Context(), scope)
	assert.ErrorContains(t, err, "NewClient")
	_, err = client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}})
	assert.ErrorContains(t, err, "NewClient")
	assert.ErrorContains(t, client.Check(t.Context()), "NewClient")
	assert.NoError(t, client.Close())

	var source certtoken.TokenSource
	_, err = source.Token()
	assert.ErrorContains(t, err, "NewClient")

	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	assert.Error(t, certtoken.NewestValid(cert).(certtoken.Reloader).Reload(t.Context(), nil))
	_, err = certtoken.NewClient(certtoken.Entra(tenantID), clientID, (*certtoken.FileSource)(nil))
	assert.ErrorContains(t, err, "no path")
	_, err = certtoken.NewFederatedClient(certtoken.Entra(tenantID), clientID, certtoken.AssertionFile(""))
	assert.ErrorContains(t, err, "no path")
	_, err = certtoken.NewClient(certtoken.Authority{}, clientID, cert)
	assert.Error(t, err)
	var token certtoken.Token
	assert.Empty(t, token.AccessToken())
}

// slowStore is a store whose calls take a while.
type slowStore struct {
	certtoken.Store
	takes time.Duration
}

func (s slowStore) Get(ctx context.Context, key string) ([]byte, error) {
	time.Sleep(s.takes)
	return s.Store.Get(ctx, key)
}

func (s slowStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	time.Sleep(s.takes)
	return s.Store.Set(ctx, key, value, ttl)
}

// In a rush the calls of a store wait for each other: it isn't taken for one that hangs.
func TestARushUsesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 300
		srv, cert := fleet(t)
		store := slowStore{certtoken.NewMemoryStore(), 2 * time.Millisecond}
		failed := certtoken.WithHooks(certtoken.Hooks{StoreFailed: func(e certtoken.Event) { t.Error(e.Err) }})
		for range 2 {
			client := process(t, srv, cert, store, failed)
			var all sync.WaitGroup
			for i := range keys {
				all.Go(func() {
					_, err := client.Token(t.Context(), fmt.Sprintf("https://api-%d.example/.default", i))
					assert.NoError(t, err)
				})
			}
			all.Wait()
			time.Sleep(10 * time.Second) // for what is stored behind the callers
		}
		assert.Equal(t, keys, srv.Count(), "the second process asks the store alone")
	})
}

// A lock that was taken when the caller had left already is given back, and the call is an
// error: without one, the flight would wait for the lock for ever.
func TestALockThatNobodyWaitsFor(t *testing.T) {
	locker := certtoken.NewMemoryStore().(certtoken.Locker)
	ctx, leave := context.WithCancelCause(t.Context())
	leave(assert.AnError)
	release, err := certtoken.TakeLock(ctx, locker, "a lock")
	require.ErrorIs(t, err, assert.AnError)
	assert.Nil(t, release)

	release, err = certtoken.TakeLock(t.Context(), locker, "a lock")
	require.NoError(t, err)
	require.NotNil(t, release, "it is free")
	again, err := certtoken.TakeLock(t.Context(), locker, "a lock")
	require.NoError(t, err)
	assert.Nil(t, again, "somebody has it")
	assert.NoError(t, release(t.Context()))
}
