package cache

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowly makes fetches take a while.
func slowly(d time.Duration) func(context.Context, *Call[token, string]) error {
	return func(ctx context.Context, _ *Call[token, string]) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func TestAMissIsOneFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.fetch = slowly(time.Second)
		var all []<-chan result
		for range 100 {
			all = append(all, acquiring(t.Context(), c, keyOf("a"), want{}))
		}
		other := acquiring(t.Context(), c, keyOf("b"), want{})
		first := <-all[0]
		require.NoError(t, first.err)
		for _, next := range all[1:] {
			assert.Same(t, first.token, (<-next).token)
		}
		assert.NotSame(t, first.token, (<-other).token)
		assert.Equal(t, time.Second, first.took)
		assert.Equal(t, 2, o.fetches())
		assert.Same(t, first.token, c.Get(ptr(keyOf("a")), "", 0))
		assert.Same(t, first.token, c.At(c.Find(keyOf("a")), "", 0))
	})
}

func TestACallerLeavesWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.fetch = func(ctx context.Context, call *Call[token, string]) error {
			call.Trouble("503")
			return slowly(10*time.Second)(ctx, call)
		}
		why := errors.New("no longer needed")
		ctx, cancel := context.WithCancelCause(t.Context())
		leaver := acquiring(ctx, c, keyOf("a"), want{})
		stayer := acquiring(t.Context(), c, keyOf("a"), want{})
		cancel(why)
		got := <-leaver
		assert.ErrorIs(t, got.err, context.Canceled)
		assert.ErrorIs(t, got.err, why)
		assert.EqualError(t, got.err, "gave up waiting for a token (so far: 503): context canceled: no longer needed")
		assert.Zero(t, got.took)
		assert.NoError(t, (<-stayer).err, "the others' flight goes on")
		_, err := c.Acquire(ctx, keyOf("c"), want{})
		assert.EqualError(t, err, "gave up waiting for a token: context canceled: no longer needed")
		assert.Equal(t, 1, o.fetches(), "who has no time starts nothing")
	})
}

func TestCloseEndsFlights(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("kept"), want{})
		require.NoError(t, err)
		o.set(func(o *owner) { o.fetch = slowly(time.Hour) })
		waiter := acquiring(t.Context(), c, keyOf("a"), want{})
		o.work.Close()
		got := <-waiter
		assert.Same(t, ErrClosed, got.err)
		assert.Zero(t, got.took)
		assert.Nil(t, c.Get(ptr(keyOf("kept")), "", 0))
		_, err = c.Acquire(t.Context(), keyOf("kept"), want{})
		assert.Same(t, ErrClosed, err)
		synctest.Wait()
		assert.Empty(t, o.heard(), "the end of a flight at Close is no failure")
	})
}

func TestWhatPanicsIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		fetch func(context.Context, *Call[token, string]) error
		want  string
	}{
		"panic": {
			func(context.Context, *Call[token, string]) error { panic("a secret") },
			"the client panicked (string) in",
		},
		"Goexit": {
			func(context.Context, *Call[token, string]) error { runtime.Goexit(); return nil },
			"the client ended its goroutine",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ch *Cache[token, string], o *owner) {
				o.fetch = c.fetch
				_, err := ch.Acquire(t.Context(), keyOf("a"), want{})
				require.ErrorContains(t, err, c.want)
				assert.NotContains(t, err.Error(), "secret")
				o.failWith(nil)
				_, err = ch.Acquire(t.Context(), keyOf("a"), want{})
				assert.NoError(t, err)
			})
		})
	}
}

func TestARefusalIsRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.failWith(errOwner)
		o.verdict = Verdict{Remember: 10 * time.Second, Condition: "certificate 1"}
		o.state = "certificate 1"
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		assert.Same(t, errOwner, err)
		time.Sleep(4 * time.Second)
		var again *recalled
		_, err = c.Acquire(t.Context(), keyOf("a"), want{})
		require.ErrorAs(t, err, &again)
		assert.Equal(t, 6*time.Second, again.left)
		assert.Equal(t, 1, o.fetches())

		o.set(func(o *owner) { o.state = "certificate 2" })
		_, err = c.Acquire(t.Context(), keyOf("a"), want{})
		assert.Same(t, errOwner, err, "its condition has changed")
		assert.Equal(t, 2, o.fetches())

		o.set(func(o *owner) { o.state = "certificate 1" })
		time.Sleep(10 * time.Second)
		_, err = c.Acquire(t.Context(), keyOf("a"), want{})
		assert.Same(t, errOwner, err, "its time is over")
		assert.Equal(t, 3, o.fetches())
	})
}

// What came of a request with claims may be due to them.
func TestARefusalOfClaims(t *testing.T) {
	for name, general := range map[string]bool{"special": false, "general": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
				o.failWith(errOwner)
				o.verdict = Verdict{Remember: time.Minute, General: general}
				_, err := c.Acquire(t.Context(), keyOf("a"), want{Claims: "{}"})
				assert.Same(t, errOwner, err)
				o.failWith(nil)
				_, err = c.Acquire(t.Context(), keyOf("a"), want{})
				assert.Equal(t, general, err != nil)
			})
		})
	}
}

func TestATokenThatIsTooShort(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("a"), want{MinValidity: 30 * time.Minute})
		require.NoError(t, err)
		time.Sleep(31 * time.Minute)
		newer, err := c.Acquire(t.Context(), keyOf("a"), want{MinValidity: 30 * time.Minute})
		require.NoError(t, err)
		assert.Equal(t, 2, newer.n, "the old one ends too soon")

		var short *ShortLivedError[token]
		for range 3 {
			_, err = c.Acquire(t.Context(), keyOf("a"), want{MinValidity: 2 * time.Hour})
			require.ErrorAs(t, err, &short)
			assert.Equal(t, 2*time.Hour, short.Wanted)
		}
		assert.Equal(t, 2, o.fetches(), "a fresh token that is too short isn't asked for again")
		time.Sleep(freshEnough)
		_, err = c.Acquire(t.Context(), keyOf("a"), want{MinValidity: 2 * time.Hour})
		require.ErrorAs(t, err, &short)
		assert.Equal(t, 3, o.fetches())
	})
}

func TestInsteadOfARefusedToken(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		o.set(func(o *owner) {
			o.fetch = func(ctx context.Context, call *Call[token, string]) error {
				_ = slowly(time.Second)(ctx, call)
				return errOwner
			}
		})
		refused := acquiring(t.Context(), c, keyOf("a"), want{InsteadOf: first})
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0), "the others keep it during the flight")
		assert.Same(t, errOwner, (<-refused).err)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0), "and after its failure")
		_, err = c.Acquire(t.Context(), keyOf("a"), want{InsteadOf: first})
		assert.Same(t, ErrForcedLately, err)

		o.failWith(nil)
		time.Sleep(forcedPause)
		second, err := c.Acquire(t.Context(), keyOf("a"), want{InsteadOf: first})
		require.NoError(t, err)
		assert.NotSame(t, first, second)
		again, err := c.Acquire(t.Context(), keyOf("a"), want{InsteadOf: first})
		require.NoError(t, err)
		assert.Same(t, second, again, "another token than the refused one will do")
		assert.Equal(t, 3, o.fetches())
	})
}

func TestAGrantThatIsRedeemedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], _ *owner) {
		one, err := c.Acquire(t.Context(), keyOf("a"), want{Once: true})
		require.NoError(t, err)
		two, err := c.Acquire(t.Context(), keyOf("a"), want{Once: true})
		require.NoError(t, err)
		assert.NotSame(t, one, two)
		assert.Zero(t, c.Len(), "its token is nobody else's")
	})
}

func TestWhoWouldWaitForItself(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.fetch = func(ctx context.Context, call *Call[token, string]) error {
			_, err := c.Acquire(ctx, call.Key, want{})
			return err
		}
		start := time.Now()
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		assert.ErrorIs(t, err, ErrOwnFlight)
		assert.Zero(t, time.Since(start))
	})
}

func TestForegroundRenewalInTheCallersTime(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		time.Sleep(50 * time.Minute)
		assert.Nil(t, c.Get(ptr(keyOf("a")), "", 0), "the caller is to renew it")
		o.failWith(errOwner)
		kept, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err, "the token is valid")
		assert.Same(t, first, kept)
		o.failWith(nil)
		time.Sleep(minRenewPause)
		newer, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		assert.NotSame(t, first, newer)
	}, func(cfg *Config[token, string]) { cfg.Foreground = true })
}
