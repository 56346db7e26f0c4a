//go:build unix

package redisstore_test

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplicasShareAToken(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f, server := newFleet(t), redistest.Start(t, program)
		first := f.newReplica(t, newStore(t, server.Client()))
		second := f.newReplica(t, newStore(t, server.Client()))
		token := first.token()
		assert.Equal(t, token, second.token())
		assert.Equal(t, 1, f.Count())
		assert.Empty(t, first.storeFailures())
		assert.Empty(t, second.storeFailures())

		ctx, client := t.Context(), server.Client()
		keys := client.Keys(ctx, "*").Val()
		require.Len(t, keys, 1, "the lock is released")
		value := client.Get(ctx, keys[0]).Val()
		for _, readable := range []string{token, clientID, "graph.microsoft.com", "access_token"} {
			assert.NotContains(t, keys[0], readable)
			assert.NotContains(t, value, readable)
		}
	})
}

// A server that starts again has neither tokens nor scripts.
func TestRestart(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f, server := newFleet(t), redistest.Start(t, program)
		store := newStore(t, server.Client())
		before := f.newReplica(t, store).token()
		server.Restart()
		again := f.newReplica(t, store)
		after := again.token()
		assert.NotEqual(t, before, after)
		assert.Equal(t, after, f.newReplica(t, store).token())
		assert.Equal(t, 2, f.Count())
		assert.Empty(t, again.storeFailures())
	})
}

// manyCalls is far more than a client makes of a store that fails, and far fewer than it makes
// of one whose lock it waits for.
const manyCalls = 20

// counted counts how often a client looks for a token and a lock.
type counted struct {
	*redisstore.Store
	calls atomic.Int32
}

func (c *counted) Get(ctx context.Context, key string) ([]byte, error) {
	c.calls.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counted) TryLock(
	ctx context.Context, key string, ttl time.Duration,
) (func(context.Context) error, error) {
	c.calls.Add(1)
	return c.Store.TryLock(ctx, key, ttl)
}

func TestNetworkCut(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f, server := newFleet(t), redistest.Start(t, program)
		network := newProxy(t, server.Addr)
		store := newStore(t, redistest.NewClient(t, network.addr()))
		shared := f.newReplica(t, store).token()

		network.cut()
		asked := &counted{Store: store}
		alone := f.newReplica(t, asked)
		assert.NotEqual(t, shared, alone.token())
		assert.Less(t, asked.calls.Load(), int32(manyCalls), "it isn't asked again and again")
		assert.NotEmpty(t, alone.storeFailures())
		assert.Equal(t, 2, f.Count())

		network.mend()
		assert.Equal(t, shared, f.newReplica(t, store).token())
		assert.Equal(t, 2, f.Count())
	})
}

// A server that is there and says nothing is the worst kind of broken.
func TestHangingServer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		for name, honours := range map[string]bool{"client honours contexts": true, "client with defaults": false} {
			t.Run(name, func(t *testing.T) { calmly(t, func(t *attempt) { playHangingServer(t, program, honours) }) })
		}
	})
}

func playHangingServer(t *attempt, program string, honours bool) {
	f, server := newFleet(t), redistest.Start(t, program)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: honours})
	defer client.Close()
	store := newStore(t, client)
	shared := f.newReplica(t, store).token()

	require.NoError(t, server.Process().Signal(syscall.SIGSTOP))
	asked := &counted{Store: store}
	alone := f.newReplica(t, asked)
	token, err := alone.Token(t.Context(), scope)
	require.NoError(t, server.Process().Signal(syscall.SIGCONT))
	require.NoError(t, err)
	assert.NotEqual(t, shared, token.AccessToken())
	assert.Less(t, asked.calls.Load(), int32(manyCalls), "it isn't asked again and again")
	require.NotEmpty(t, alone.storeFailures())
	assert.ErrorIs(t, alone.storeFailures()[0], context.DeadlineExceeded)

	assert.Equal(t, shared, f.newReplica(t, store).token(), "after it went on")
	assert.Equal(t, 2, f.Count())
}

func TestEviction(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f := newFleet(t)
		server := redistest.Start(t, program, "--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru")
		client := server.Client()
		store := newStore(t, client)
		before := f.newReplica(t, store).token()
		ctx := t.Context()
		key := client.Keys(ctx, "*").Val()[0]
		filler := strings.Repeat("x", 64<<10)
		for i := 0; client.Exists(ctx, key).Val() == 1; i++ {
			require.Less(t, i, 10_000, "nothing is evicted")
			require.NoError(t, client.Set(ctx, "filler-"+time.Duration(i).String(), filler, time.Hour).Err())
		}
		// What is stored next must not be evicted too, for which the server would choose at random.
		require.NoError(t, client.ConfigSet(ctx, "maxmemory", "0").Err())
		again := f.newReplica(t, store)
		after := again.token()
		assert.NotEqual(t, before, after)
		assert.Empty(t, again.storeFailures(), "an entry that was evicted is a miss and no failure")
		assert.Equal(t, after, f.newReplica(t, store).token())
		assert.Equal(t, 2, f.Count())
	})
}

// A server that is full and may not evict refuses the lock and the token.
func TestFull(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f := newFleet(t)
		server := redistest.Start(t, program, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
		r := f.newReplica(t, newStore(t, server.Client()))
		assert.NotEmpty(t, r.token())
		require.NotEmpty(t, r.storeFailures())
		assert.ErrorContains(t, r.storeFailures()[0], "OOM")
	})
}

// Replicas with another secret don't find each other's tokens, and replicas
// that know both secrets find either's.
func TestOtherSecret(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f := newFleet(t)
		store := newStore(t, redistest.Start(t, program).Client())
		other := bytes.Repeat([]byte("another-"), 4)
		token := f.newReplica(t, store).token()
		stranger := f.newReplica(t, store, other)
		assert.NotEqual(t, token, stranger.token())
		assert.Empty(t, stranger.storeFailures())
		assert.Equal(t, token, f.newReplica(t, store).token())
		assert.Equal(t, 2, f.Count())
		assert.Equal(t, token, f.newReplica(t, store, bytes.Repeat([]byte("newest--"), 4), secret).token())
		assert.Equal(t, 2, f.Count())
	})
}

// An entry that was sealed by another secret, or changed, is reported, counts
// as a miss, and is replaced.
func TestEntryThatDoesNotOpen(t *testing.T) {
	each(t, func(t *attempt, program string) {
		f := newFleet(t)
		client := redistest.Start(t, program).Client()
		ctx, store := t.Context(), newStore(t, client)
		before := f.newReplica(t, store).token()
		ours := client.Keys(ctx, "*").Val()[0]
		f.newReplica(t, store, bytes.Repeat([]byte("another-"), 4)).token()
		for _, key := range client.Keys(ctx, "*").Val() {
			if key != ours { // its name is theirs; now ours holds what they sealed
				require.NoError(t, client.Copy(ctx, key, ours, 0, true).Err())
			}
		}

		r := f.newReplica(t, store)
		after := r.token()
		assert.NotEqual(t, before, after)
		require.NotEmpty(t, r.storeFailures())
		assert.ErrorContains(t, r.storeFailures()[0], "sealed by another key")
		assert.Equal(t, after, f.newReplica(t, store).token(), "it was replaced")
		assert.Equal(t, 3, f.Count())
	})
}
