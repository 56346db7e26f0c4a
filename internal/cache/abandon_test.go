package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/workers"
)

// hang is a fetch that ignores its context until it is released, in a part of the
// program that is called the signer.
func hang(release <-chan struct{}) func(context.Context, *Call[token, string]) error {
	return func(ctx context.Context, _ *Call[token, string]) error {
		leave := workers.Enter(ctx, "the signer")
		<-release
		leave()
		return nil
	}
}

const givenUp = "the signer did not return within 35s, though its context had ended: " +
	"no token within 30s: context deadline exceeded"

func TestAFlightThatHangsIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		o.fetch = hang(release)
		waiters := []<-chan result{
			acquiring(t.Context(), c, keyOf("a"), want{}), acquiring(t.Context(), c, keyOf("a"), want{}),
		}
		for _, waiter := range waiters {
			got := <-waiter
			assert.EqualError(t, got.err, givenUp)
			assert.ErrorIs(t, got.err, context.DeadlineExceeded)
			assert.Equal(t, 35*time.Second, got.took)
		}
		synctest.Wait()
		assert.Equal(t, []string{"abandoned: the signer"}, o.heard())
		n, _ := o.work.Abandoned()
		assert.Equal(t, 1, n)

		o.failWith(nil)
		second, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err, "the next caller starts another flight")
		close(release)
		synctest.Wait()
		assert.Same(t, second, c.Get(ptr(keyOf("a")), "", 0), "the late token changes nothing")
		assert.Equal(t, []string{"abandoned: the signer", "returned: the signer"}, o.heard())
		n, _ = o.work.Abandoned()
		assert.Zero(t, n)
		assert.Zero(t, c.Find(keyOf("a")).record().abandoned)
	})
}

// A token that lands late isn't taken where there is no other either: it may be
// bound to a certificate that was replaced meanwhile.
func TestALateTokenIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		o.fetch = hang(release)
		assert.Error(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
		close(release)
		synctest.Wait()
		assert.Nil(t, c.Get(ptr(keyOf("a")), "", 0))
	})
}

func TestARenewalThatHangsIsNotNoticed(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		release := make(chan struct{})
		o.set(func(o *owner) { o.fetch = hang(release) })
		time.Sleep(45 * time.Minute)
		for range 35 {
			assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		assert.Equal(t, []string{"abandoned: the signer", "renewal failed"}, o.heard())
		o.failWith(nil)
		time.Sleep(minRenewPause)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		synctest.Wait()
		assert.Equal(t, 3, c.Get(ptr(keyOf("a")), "", 0).n)
		close(release)
	})
}

func TestSoManyFlightsOfAKeyMayHang(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		o.fetch = hang(release)
		for range maxAbandonedOfKey {
			assert.EqualError(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err, givenUp)
		}
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		assert.EqualError(t, got.err, "4 requests for this token still hang in the signer, so no other is made")
		assert.Zero(t, got.took)
		assert.Equal(t, 4, o.fetches())
		assert.False(t, c.Find(keyOf("a")).retire(never), "the slot leaves, and with it the count")

		o.failWith(nil)
		assert.NoError(t, (<-acquiring(t.Context(), c, keyOf("b"), want{})).err, "other keys go on")
		close(release)
		synctest.Wait()
		assert.NoError(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
	})
}

func TestSoManyFlightsOfAClientMayHang(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		o.fetch = hang(release)
		for i := range workers.MaxAbandoned {
			acquiring(t.Context(), c, keyOf(scopeOf(i)), want{})
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		assert.EqualError(t, got.err, "64 requests of this client still hang in the signer, so no other is made")
		assert.Zero(t, got.took)
		close(release)
		synctest.Wait()
		assert.NoError(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
	})
}

// What a flight does after its landing, such as telling the owner, may hang too.
func TestWhatHangsAfterTheLandingIsCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		hanging := &afterOwner{owner: o, after: func(kept bool) {
			assert.True(t, kept)
			<-release
		}}
		c.Owner = hanging
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		time.Sleep(35 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"abandoned: the client"}, o.heard())
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		close(release)
		synctest.Wait()
		assert.Equal(t, []string{"abandoned: the client", "returned: the client"}, o.heard())
	})
}

// afterOwner has something to do after a landing.
type afterOwner struct {
	*owner
	after func(bool)
}

func (o *afterOwner) Fetch(ctx context.Context, call *Call[token, string]) Fetched[token] {
	out := o.owner.Fetch(ctx, call)
	out.After = o.after
	return out
}

func TestALateFlightKnowsThatItIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		var kept []bool
		o.fetch = func(ctx context.Context, call *Call[token, string]) error {
			assert.False(t, call.Abandoned())
			err := hang(release)(ctx, call)
			assert.True(t, call.Abandoned())
			_, _, turnErr := call.Turn()
			assert.ErrorIs(t, turnErr, context.DeadlineExceeded, "it has no turn any more")
			return err
		}
		c.Owner = &afterOwner{owner: o, after: func(k bool) { kept = append(kept, k) }}
		assert.Error(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
		close(release)
		synctest.Wait()
		assert.Equal(t, []bool{false}, kept)
	})
}

// Flights that wait in the queue are refused too when their turn comes, and leave no
// place behind.
func TestSoManyFlightsMayHangInTheirTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			if _, err := x.exchange(call, 0); err != nil {
				return err
			}
			ctx, leave, err := call.Turn()
			if err != nil {
				return err
			}
			defer leave()
			return hang(release)(ctx, call)
		}
		var all []<-chan result
		for i := range 80 {
			all = append(all, acquiring(t.Context(), c, keyOf(scopeOf(i)), want{}))
		}
		refused := 0
		for _, one := range all {
			var abandoned *AbandonedError
			require.ErrorAs(t, (<-one).err, &abandoned)
			if abandoned.OfClient {
				assert.GreaterOrEqual(t, abandoned.Running, workers.MaxAbandoned)
				refused++
			}
		}
		assert.InDelta(t, 80-workers.MaxAbandoned, refused, 4, "some may have had their place already")
		close(release)
		synctest.Wait()
		o.set(func(o *owner) {
			o.fetch = func(_ context.Context, call *Call[token, string]) error {
				_, err := x.exchange(call, time.Second)
				return err
			}
		})
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		require.NoError(t, got.err)
		assert.Equal(t, time.Second, got.took, "a place was lost")
	}, places(4))
}
