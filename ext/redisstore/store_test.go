package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newStore(t testing.TB, client redis.UniversalClient, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(client, opts...)
	require.NoError(t, err)
	return store
}

func TestNewReportsNilClient(t *testing.T) {
	_, err := redisstore.New(nil)
	assert.ErrorContains(t, err, "nil client")
}

func TestConformance(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		server := redistest.Start(t, program)
		certtokentest.TestStore(t, func(t *testing.T) certtoken.Store {
			return newStore(t, server.Client(), redisstore.WithPrefix("test:"))
		})
	})
}

func TestClusterConformance(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		addrs := redistest.StartCluster(t, program)
		newClient := func(t *testing.T) redis.UniversalClient {
			client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true})
			t.Cleanup(func() { _ = client.Close() })
			require.IsType(t, (*redis.ClusterClient)(nil), client)
			return client
		}
		certtokentest.TestStore(t, func(t *testing.T) certtoken.Store { return newStore(t, newClient(t)) })

		t.Run("every node is used", func(t *testing.T) {
			store := newStore(t, newClient(t))
			for i := range 60 {
				key := "spread-" + strings.Repeat("x", i)
				require.NoError(t, store.Set(t.Context(), key, []byte("v"), time.Hour))
				unlock, err := store.TryLock(t.Context(), key+"-lock", time.Minute)
				require.NoError(t, err)
				require.NotNil(t, unlock)
				require.NoError(t, unlock(t.Context()))
			}
			for _, addr := range addrs {
				assert.Positive(t, redistest.NewClient(t, addr).DBSize(t.Context()).Val(), "keys on %s", addr)
			}
		})
	})
}

// Redis would keep for ever what has no time, and go-redis gives 0 and -1 a
// meaning of their own.
func TestEveryKeyHasAnEnd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		ctx, client := t.Context(), redistest.Start(t, program).Client()
		store := newStore(t, client)
		for _, ttl := range []time.Duration{-time.Hour, -1, 0, 1, time.Microsecond} {
			require.NoError(t, store.Set(ctx, "value", []byte("x"), ttl))
			_, err := store.TryLock(ctx, "lock", ttl)
			require.NoError(t, err)
			require.Eventually(
				t,
				func() bool { return client.DBSize(ctx).Val() == 0 },
				5*time.Minute,
				time.Millisecond,
				"ttl %d",
				ttl,
			)
		}
		began := time.Now()
		require.NoError(t, store.Set(ctx, "value", []byte("x"), 90*time.Second+time.Microsecond))
		assert.Greater(t, client.PTTL(ctx, "value").Val()+time.Since(began), 89*time.Second)
		began = time.Now()
		_, err := store.TryLock(ctx, "lock", 1500*time.Millisecond)
		require.NoError(t, err)
		assert.Greater(t, client.PTTL(ctx, "lock").Val()+time.Since(began), time.Second)
	})
}

// lostAnswer loses the answer of the first script that succeeds, as a
// connection does that breaks after the command was carried out.
type lostAnswer struct {
	redis.Hook
	lost bool
}

func (h *lostAnswer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *lostAnswer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *lostAnswer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil || h.lost || !strings.HasPrefix(cmd.Name(), "eval") {
			return err
		}
		h.lost = true
		return next(ctx, cmd) // go-redis's own repetition
	}
}

func TestLockSurvivesALostAnswer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		server := redistest.Start(t, program)
		client, hook := server.Client(), &lostAnswer{}
		client.AddHook(hook)
		unlock, err := newStore(t, client).TryLock(t.Context(), "lock", time.Minute)
		require.NoError(t, err)
		require.True(t, hook.lost)
		require.NotNil(t, unlock, "the holder was taken for somebody else")
		other, err := newStore(t, server.Client()).TryLock(t.Context(), "lock", time.Minute)
		require.NoError(t, err)
		assert.Nil(t, other)
	})
}

// Errors name the operation, wrap the cause, and say neither key nor value.
func TestErrors(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, Password: "secret"})
	defer client.Close()
	store := newStore(t, client)
	_, getErr := store.Get(t.Context(), "key")
	_, lockErr := store.TryLock(t.Context(), "key", time.Second)
	for what, err := range map[string]error{
		"get":    getErr,
		"set":    store.Set(t.Context(), "key", []byte("value"), time.Second),
		"delete": store.Delete(t.Context(), "key"),
		"lock":   lockErr,
	} {
		require.Error(t, err)
		assert.NotErrorIs(t, err, certtoken.ErrStoreMiss)
		assert.ErrorContains(t, err, "redisstore: "+what+": ")
		for _, hidden := range []string{"key", "value", "secret"} {
			assert.NotContains(t, err.Error(), hidden)
		}
		assert.NotNil(t, errors.Unwrap(err))
	}
}

// The README says what an access control list must allow.
func TestNarrowAccess(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		ctx, server := t.Context(), redistest.Start(t, program)
		require.NoError(
			t,
			server.Client().Do(ctx, "ACL", "SETUSER", "replica", "on", ">password", "resetkeys", "~billing:*",
				"-@all", "+get", "+set", "+del", "+eval", "+evalsha").Err(),
		)
		client := redis.NewClient(
			&redis.Options{Addr: server.Addr, Username: "replica", Password: "password", ContextTimeoutEnabled: true},
		)
		defer client.Close()
		store := newStore(t, client, redisstore.WithPrefix("billing:"))
		require.NoError(t, store.Set(ctx, "key", []byte("value"), time.Minute))
		value, err := store.Get(ctx, "key")
		require.NoError(t, err)
		assert.Equal(t, "value", string(value))
		unlock, err := store.TryLock(ctx, "lock", time.Minute)
		require.NoError(t, err)
		require.NoError(t, unlock(ctx))
		require.NoError(t, store.Delete(ctx, "key"))

		other := newStore(t, client, redisstore.WithPrefix("payroll:"))
		assert.ErrorContains(t, other.Set(ctx, "key", []byte("value"), time.Minute), "NOPERM")
	})
}
