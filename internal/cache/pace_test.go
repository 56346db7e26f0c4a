package cache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// started writes down the order in which renewals start.
type started struct {
	mu    sync.Mutex
	order []string
}

func (s *started) later(p *Pace, tenant, name string) {
	p.later(tenant, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.order = append(s.order, name)
		return true
	})
}

// soFar are those that have started.
func (s *started) soFar() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func TestTenantsTakeTurns(t *testing.T) {
	p, s := NewPace(1), new(started)
	require.True(t, p.enter("", false))
	require.False(t, p.enter("", false), "there is room for one")
	for i := range 3 {
		s.later(p, "a", fmt.Sprint("a", i))
	}
	s.later(p, "b", "b0")
	assert.Empty(t, s.soFar())
	for range 4 {
		p.leave(true)
	}
	assert.Equal(t, []string{"a0", "b0", "a1", "a2"}, s.soFar())
	p.leave(true)
	assert.Zero(t, p.running)
	assert.Empty(t, p.lanes)
	assert.True(t, p.enter("", false))
}

func TestAWarmRenewalDoesNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(1)
		require.True(t, p.enter("", false))
		assert.True(t, p.enter("", true))
		p.hold("", time.Second)
		assert.False(t, p.enter("", true), "only for the endpoint")
		time.Sleep(time.Second)
	})
}

// What is skipped when its turn comes takes no place from the next.
func TestRenewalsThatHaveBecomeNeedless(t *testing.T) {
	p, s := NewPace(1), new(started)
	require.True(t, p.enter("", false))
	for range 10 {
		p.later("a", func() bool { return false })
	}
	s.later(p, "a", "needed")
	p.leave(true)
	assert.Equal(t, []string{"needed"}, s.soFar())
}

// An endpoint's pause concerns one tenant. The longest counts.
func TestAPauseHoldsOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := NewPace(10), new(started)
		p.hold("a", time.Second)
		p.hold("a", 3*time.Second)
		p.hold("a", 2*time.Second)
		assert.False(t, p.enter("a", false))
		assert.True(t, p.enter("b", false))
		s.later(p, "a", "a")
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		assert.Empty(t, s.soFar())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"a"}, s.soFar())
		p.mu.Lock()
		defer p.mu.Unlock()
		assert.Empty(t, p.lanes)
	})
}

// A lane that waits for its turn is held too.
func TestAPauseHoldsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := NewPace(1), new(started)
		require.True(t, p.enter("b", false))
		s.later(p, "a", "a")
		s.later(p, "b", "b")
		p.hold("a", time.Second)
		p.leave(true)
		assert.Equal(t, []string{"b"}, s.soFar())
		p.leave(true)
		assert.Equal(t, []string{"b"}, s.soFar())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"b", "a"}, s.soFar())
	})
}

// After a refusal half as many renewals start at once, and one more after so many
// successes.
func TestThePaceFollowsTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(16)
		room := func() (n int) {
			for p.enter("b", false) {
				n++
			}
			for range n {
				p.leave(false)
			}
			return n
		}
		assert.Equal(t, 16, room())
		for _, want := range []int{8, 4, 2, 1, 1} {
			p.hold("a", time.Second)
			assert.Equal(t, want, room())
			p.hold("a", time.Second)
			assert.Equal(t, want, room(), "it is the same pause")
			time.Sleep(2 * time.Second)
		}
		successes := 0
		for ; room() < 16; successes++ {
			require.True(t, p.enter("b", false))
			p.leave(true)
		}
		assert.InDelta(t, roomGrowth*16*16/2, successes, 20)
	})
}

// Renewals that wait are made when their turn comes, once, and those of tokens that were
// replaced meanwhile are not.
func TestRenewalsWaitTheirTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		for i := range 5 {
			_, err := c.Acquire(t.Context(), keyOf(fmt.Sprint(i)), want{})
			require.NoError(t, err)
		}
		time.Sleep(50 * time.Minute)
		o.set(func(o *owner) { o.fetch = slowly(time.Second) })
		hits := func() {
			for i := range 5 {
				require.NotNil(t, c.Get(ptr(keyOf(fmt.Sprint(i))), "", 0))
			}
		}
		for range 3 {
			hits()
		}
		synctest.Wait()
		assert.Equal(t, 5+1, o.fetches())
		_, err := c.Acquire(t.Context(), keyOf("4"), want{Fresh: true})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		hits()
		assert.Equal(t, 5+5, o.fetches())
		assert.Zero(t, c.Pace.running)
		assert.Empty(t, c.Pace.lanes)
	}, func(cfg *Config[token, string]) { cfg.Pace = NewPace(1) })
}

// A renewal that waited and failed is tried again as any other.
func TestARenewalThatWaitedFails(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		for _, scope := range []string{"a", "b"} {
			_, err := c.Acquire(t.Context(), keyOf(scope), want{})
			require.NoError(t, err)
		}
		time.Sleep(50 * time.Minute)
		var fail atomic.Bool
		fail.Store(true)
		o.set(func(o *owner) {
			o.fetch = func(_ context.Context, call *Call[token, string]) error {
				time.Sleep(time.Second)
				if fail.Load() && call.Key.Scopes[0] == "b" {
					return errOwner
				}
				return nil
			}
		})
		hits := func() {
			for _, scope := range []string{"a", "b"} {
				require.NotNil(t, c.Get(ptr(keyOf(scope)), "", 0))
			}
		}
		hits()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		o.set(func(o *owner) { assert.Equal(t, []time.Duration{minRenewPause}, o.pauses) })
		fail.Store(false)
		time.Sleep(minRenewPause)
		hits()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, 5, o.fetches())
	}, func(cfg *Config[token, string]) { cfg.Pace = NewPace(1) })
}

// An owner that is told to wait has the renewals of the tenant wait.
func TestThrottledRenewalsWait(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		for _, scope := range []string{"a", "b"} {
			_, err := c.Acquire(t.Context(), keyOf(scope), want{})
			require.NoError(t, err)
		}
		time.Sleep(50 * time.Minute)
		o.set(func(o *owner) {
			o.fetch = func(_ context.Context, call *Call[token, string]) error {
				call.Throttled(time.Minute)
				return nil
			}
		})
		c.Get(ptr(keyOf("a")), "", 0)
		synctest.Wait()
		assert.Equal(t, 3, o.fetches())
		c.Get(ptr(keyOf("b")), "", 0)
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		assert.Equal(t, 3, o.fetches())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, 4, o.fetches())
		time.Sleep(time.Minute)
	})
}
