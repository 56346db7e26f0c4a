package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/queue"
)

func scopeOf(i int) string { return fmt.Sprint("scope-", i) }

// exchanges counts how many are under way, each in its turn.
type exchanges struct {
	mu           sync.Mutex
	inside, most int
	order        []string
}

// exchange waits for the flight's turn and takes a while in it.
func (x *exchanges) exchange(call *Call[token, string], d time.Duration) (context.Context, error) {
	ctx, leave, err := call.Turn()
	if err != nil {
		return ctx, err
	}
	defer leave()
	x.mu.Lock()
	x.inside++
	x.most = max(x.most, x.inside)
	x.order = append(x.order, call.Key.Scopes[0])
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		x.inside--
		x.mu.Unlock()
	}()
	select {
	case <-time.After(d):
		return ctx, nil
	case <-ctx.Done():
		return ctx, context.Cause(ctx)
	}
}

// places gives a cache a queue of n places.
func places(n int) func(*Config[token, string]) {
	return func(cfg *Config[token, string]) { cfg.Queue = queue.New(n) }
}

func TestARushIsAQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, err := x.exchange(call, 10*time.Second)
			return err
		}
		var all []<-chan result
		var order []string
		for i := range 40 {
			all = append(all, acquiring(t.Context(), c, keyOf(scopeOf(i)), want{}))
			order = append(order, scopeOf(i))
		}
		var longest time.Duration
		for _, one := range all {
			got := <-one
			require.NoError(t, got.err, "the time in the queue counts")
			longest = max(longest, got.took)
		}
		assert.Equal(t, 100*time.Second, longest)
		assert.Equal(t, 4, x.most)
		for i, scope := range x.order {
			var n int
			_, _ = fmt.Sscanf(scope, "scope-%d", &n)
			assert.Equal(t, i/4, n/4, "%v", x.order)
		}
		assert.ElementsMatch(t, order, x.order)
	}, places(4))
}

// A flight's time begins with its first turn, and stands still while it waits for
// another one.
func TestWhenAFlightsTimeIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		slow := make(chan struct{})
		o.fetch = func(first context.Context, call *Call[token, string]) error {
			if call.Key.Scopes[0] == "slow" {
				_, err := x.exchange(call, 25*time.Second)
				return err
			}
			time.Sleep(29 * time.Second) // before its turn it has as much time
			assert.NoError(t, first.Err())
			if _, err := x.exchange(call, 10*time.Second); err != nil {
				return err
			}
			slow <- struct{}{}
			time.Sleep(5 * time.Second) // a pause, in which the slow one has the place
			ctx, err := x.exchange(call, time.Hour)
			assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
			return err
		}
		got := acquiring(t.Context(), c, keyOf("a"), want{})
		<-slow
		acquiring(t.Context(), c, keyOf("slow"), want{})
		end := <-got
		assert.EqualError(t, end.err, "no token within 30s: context deadline exceeded")
		assert.Equal(t, 29*time.Second+30*time.Second+20*time.Second, end.took)
	}, places(1))
}

func TestWhatHangsBeforeItsTurnIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.fetch = func(ctx context.Context, _ *Call[token, string]) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		assert.EqualError(t, got.err, "no token within 30s: context deadline exceeded")
		assert.Equal(t, 30*time.Second, got.took)
	})
}

// What hangs holds its place no longer than its time, so it doesn't stop the others.
func TestAPlaceIsTakenFromWhatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		release := make(chan struct{})
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, leave, err := call.Turn()
			if err != nil {
				return err
			}
			defer leave()
			if call.Key.Scopes[0] == "hangs" {
				<-release
			}
			return nil
		}
		hangs := acquiring(t.Context(), c, keyOf("hangs"), want{})
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		require.NoError(t, got.err)
		assert.Equal(t, 30*time.Second, got.took)
		assert.ErrorContains(t, (<-hangs).err, "did not return")
		close(release)
		synctest.Wait()
		got = <-acquiring(t.Context(), c, keyOf("b"), want{})
		require.NoError(t, got.err)
		assert.Zero(t, got.took)
	}, places(1))
}

// A flight in the queue ends when nobody waits for it, so that the queue is no longer
// than there are callers.
func TestNobodyWaitsAnyLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, err := x.exchange(call, 20*time.Second)
			return err
		}
		first := acquiring(t.Context(), c, keyOf("first"), want{})
		ctx, cancel := context.WithCancel(t.Context())
		var leavers []<-chan result
		for range 3 {
			leavers = append(leavers, acquiring(ctx, c, keyOf("a"), want{}))
		}
		b := acquiring(t.Context(), c, keyOf("b"), want{})
		cancel()
		for _, leaver := range leavers {
			assert.ErrorIs(t, (<-leaver).err, context.Canceled)
		}
		synctest.Wait()
		assert.True(t, c.Find(keyOf("a")).retire(never), "its flight is still there")
		require.NoError(t, (<-first).err)
		require.NoError(t, (<-b).err)
		assert.Equal(t, []string{"first", "b"}, x.order)
		assert.Empty(t, o.heard())
	}, places(1))
}

// A caller who came just as the last one left waits for a flight that is withdrawn,
// and then for another one.
func TestAWithdrawnFlightAnswersNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, err := x.exchange(call, time.Second)
			return err
		}
		acquiring(t.Context(), c, keyOf("first"), want{})
		comer := acquiring(t.Context(), c, keyOf("a"), want{})
		s := c.Find(keyOf("a"))
		s.mu.Lock()
		s.state.flight.withdraw()
		s.mu.Unlock()
		assert.NoError(t, (<-comer).err)
		assert.Equal(t, 3, o.fetches())
	}, places(1))
}

// A flight that was withdrawn changes nothing: neither the time of renewal nor the
// minute between two flights that a resource's refusals start.
func TestAWithdrawnFlightLeavesNoTrace(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, err := x.exchange(call, 10*time.Second)
			return err
		}
		refused := (<-acquiring(t.Context(), c, keyOf("a"), want{})).token
		due := c.Find(keyOf("a")).renew.Load()
		first := acquiring(t.Context(), c, keyOf("first"), want{})
		ctx, cancel := context.WithCancel(t.Context())
		leaver := acquiring(ctx, c, keyOf("a"), want{InsteadOf: refused})
		cancel()
		assert.ErrorIs(t, (<-leaver).err, context.Canceled)
		synctest.Wait()
		assert.Equal(t, due, c.Find(keyOf("a")).renew.Load())
		require.NoError(t, (<-first).err)
		again := <-acquiring(t.Context(), c, keyOf("a"), want{InsteadOf: refused})
		require.NoError(t, again.err)
		assert.NotSame(t, refused, again.token)
	}, places(1))
}

// A renewal behind the callers waits in the queue though nobody waits for it.
func TestARenewalInTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			_, err := x.exchange(call, time.Second)
			return err
		}
		require.NoError(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
		time.Sleep(50 * time.Minute)
		other := acquiring(t.Context(), c, keyOf("b"), want{})
		first := c.Get(ptr(keyOf("a")), "", 0)
		require.NoError(t, (<-other).err)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.NotSame(t, first, c.Get(ptr(keyOf("a")), "", 0))
	}, places(1))
}

// Callers who are less patient than a source still get a token in the end: the flight
// goes on without them while a place is free.
func TestAFlightGoesOnWithoutItsCallers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			time.Sleep(1500 * time.Millisecond) // a slow source
			_, err := x.exchange(call, 0)
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, (<-acquiring(ctx, c, keyOf("a"), want{})).err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.NotNil(t, c.Get(ptr(keyOf("a")), "", 0))
	})
}

// A flight that has had a turn isn't dropped before its next one, though its callers
// have gone and all places are taken.
func TestASecondTurnIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var x exchanges
		o.fetch = func(_ context.Context, call *Call[token, string]) error {
			if call.Key.Scopes[0] == "other" {
				_, err := x.exchange(call, 10*time.Second)
				return err
			}
			if _, err := x.exchange(call, time.Second); err != nil {
				return err
			}
			time.Sleep(time.Second)
			_, err := x.exchange(call, time.Second)
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		first := acquiring(ctx, c, keyOf("a"), want{})
		other := acquiring(t.Context(), c, keyOf("other"), want{})
		assert.Error(t, (<-first).err)
		assert.NoError(t, (<-other).err)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.NotNil(t, c.Get(ptr(keyOf("a")), "", 0))
	}, places(1))
}

// A renewal behind the callers waits in the queue, also when a caller joins it and leaves.
func TestARenewalIsNotWithdrawn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		var x exchanges
		o.set(func(o *owner) {
			o.fetch = func(_ context.Context, call *Call[token, string]) error {
				_, err := x.exchange(call, 10*time.Second)
				return err
			}
		})
		time.Sleep(46 * time.Minute)
		other := acquiring(t.Context(), c, keyOf("other"), want{})
		assert.NotNil(t, c.Get(ptr(keyOf("a")), "", 0), "it starts the renewal")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Error(t, (<-acquiring(ctx, c, keyOf("a"), want{Fresh: true})).err)
		assert.NoError(t, (<-other).err)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		assert.Equal(t, 3, c.Get(ptr(keyOf("a")), "", 0).n)
		assert.Empty(t, o.heard())
	}, places(1))
}

// panicking is an error of a user whose methods panic.
type panicking struct{}

func (panicking) Error() string { return "oops" }
func (panicking) Is(error) bool { panic("Is") }
func (panicking) As(any) bool   { panic("As") }

// judging is an owner that looks at the error.
type judging struct{ *owner }

func (o judging) Judge(err error, _ *Key) Verdict {
	return Verdict{General: errors.Is(err, context.Canceled)}
}

func TestAnErrorThatPanicsBlocksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		c.Owner = judging{o}
		o.failWith(panicking{})
		got := <-acquiring(t.Context(), c, keyOf("a"), want{})
		assert.Equal(t, panicking{}, got.err)
		o.failWith(nil)
		assert.NoError(t, (<-acquiring(t.Context(), c, keyOf("a"), want{})).err)
	})
}
