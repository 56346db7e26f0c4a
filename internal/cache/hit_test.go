package cache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAHitRenewsBehindTheCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		time.Sleep(45*time.Minute - 1)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		synctest.Wait()
		assert.Equal(t, 1, o.fetches(), "it isn't due yet")
		time.Sleep(time.Nanosecond)
		o.set(func(o *owner) { o.fetch = slowly(time.Second) })
		for range 100 {
			assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 2, c.Get(ptr(keyOf("a")), "", 0).n)
		assert.Equal(t, 2, o.fetches())
		assert.Empty(t, o.heard(), "a renewal that succeeds is told nobody")
	})
}

func TestARenewalThatCloseEndsIsNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		o.set(func(o *owner) { o.fetch = slowly(time.Hour) })
		time.Sleep(50 * time.Minute)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		synctest.Wait()
		o.work.Close()
		synctest.Wait()
		assert.Empty(t, o.heard())
	})
}

// A success ends a row of failures: the next failure has the shortest pause again.
func TestASuccessShortensThePauses(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		for range 2 {
			time.Sleep(46 * time.Minute)
			o.failWith(errOwner)
			c.Get(ptr(keyOf("a")), "", 0)
			synctest.Wait()
			o.failWith(nil)
			time.Sleep(minRenewPause)
			c.Get(ptr(keyOf("a")), "", 0)
			synctest.Wait()
		}
		assert.Equal(t, []time.Duration{minRenewPause, minRenewPause}, o.pauses)
		assert.Equal(t, 5, o.fetches())
	})
}

// A token that is granted after the wall clock jumped lives as long as any other.
func TestATokenGrantedAfterAJump(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.clock.Shift(2 * time.Hour)
		time.Sleep(2 * time.Second)
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		time.Sleep(40 * time.Minute)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		synctest.Wait()
		assert.Equal(t, 1, o.fetches(), "it isn't due")
	})
}

// The pause after a failed renewal is 30 s and doubles to 5 min, the owner's own
// pause is kept, and a short token has short pauses.
func TestPausesAfterFailedRenewals(t *testing.T) {
	for name, c := range map[string]struct {
		life, pause time.Duration
		want        []time.Duration
	}{
		"long": {12 * time.Hour, 0, []time.Duration{
			30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute,
		}},
		"the owner's": {12 * time.Hour, 90 * time.Second, []time.Duration{
			90 * time.Second, 90 * time.Second, 2 * time.Minute,
		}},
		"short": {2 * time.Minute, 0, []time.Duration{12 * time.Second, 12 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ch *Cache[token, string], o *owner) {
				o.life = c.life
				first, err := ch.Acquire(t.Context(), keyOf("a"), want{})
				require.NoError(t, err)
				o.failWith(errOwner)
				o.verdict = Verdict{Pause: c.pause}
				time.Sleep(c.life * 3 / 4)
				for i, pause := range c.want {
					require.Same(t, first, ch.Get(ptr(keyOf("a")), "", 0))
					synctest.Wait()
					require.Equal(t, i+2, o.fetches())
					time.Sleep(pause - 1)
					require.Same(t, first, ch.Get(ptr(keyOf("a")), "", 0))
					synctest.Wait()
					require.Equal(t, i+2, o.fetches(), "pause %d", i+1)
					time.Sleep(time.Nanosecond)
				}
				assert.Equal(t, c.want, o.pauses)
			})
		})
	}
}

func TestHopelessRenewal(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		o.failWith(errOwner)
		o.verdict = Verdict{Hopeless: true}
		for range 59 {
			time.Sleep(time.Minute)
			require.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		}
		assert.Equal(t, 2, o.fetches(), "it was tried once")
	})
}

func TestATokenIsHandedOutUntilItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		o.failWith(errOwner)
		time.Sleep(time.Hour - 1)
		assert.Same(t, first, c.Get(ptr(keyOf("a")), "", 0))
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		assert.Nil(t, c.Get(ptr(keyOf("a")), "", 0))
		_, err = c.Acquire(t.Context(), keyOf("a"), want{})
		assert.Same(t, errOwner, err)
	})
}

// The wall clock rules where it is ahead: it counts the time of a suspension.
func TestTheLaterClockRules(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		o.clock.Shift(2 * time.Hour)
		assert.Nil(t, c.Get(ptr(keyOf("a")), "", 0))
		_, err = c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		assert.Equal(t, 2, o.fetches())
	})
}

func TestWhatMayNotBeHandedOut(t *testing.T) {
	usable := true
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		first, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		assert.True(t, c.Valid(first, 0))
		usable = false
		assert.False(t, c.Valid(first, 0))
		assert.Nil(t, c.Get(ptr(keyOf("a")), "", 0))
		assert.Nil(t, c.At(c.Find(keyOf("a")), "", 0))
	}, func(cfg *Config[token, string]) { cfg.Usable = func(*token) bool { return usable } })
}

func TestHitsAreTold(t *testing.T) {
	hits := 0
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		_, err := c.Acquire(t.Context(), keyOf("a"), want{})
		require.NoError(t, err)
		assert.Zero(t, hits)
		c.Get(ptr(keyOf("a")), "", 0)
		c.Get(ptr(keyOf("b")), "", 0)
		assert.Equal(t, 1, hits)
		assert.Equal(t, []string{"missed"}, o.told)
	}, func(cfg *Config[token, string]) { cfg.OnHit = func(*Key, *token) { hits++ } })
}

func TestAKeyOfVeryManyScopes(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		var scopes []string
		for i := range 2 * maxUnsorted {
			scopes = append(scopes, fmt.Sprint("scope-", i))
		}
		first, err := c.Acquire(t.Context(), keyOf(scopes...), want{})
		require.NoError(t, err)
		again, err := c.Acquire(t.Context(), keyOf(scopes...), want{})
		require.NoError(t, err)
		assert.Same(t, first, again)
		assert.Nil(t, c.Find(keyOf(scopes...)), "it takes the lock to be found")
	})
}

func TestKeepWarmRenewsThoughNobodyAsks(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[token, string], o *owner) {
		o.failWith(errOwner)
		go c.KeepWarm(keyOf("a"))
		time.Sleep(5*time.Minute + time.Second)
		assert.Equal(t, 11, o.fetches(), "once each 30 s while it fails")
		o.failWith(nil)
		time.Sleep(minRenewPause)
		for range 10 {
			assert.NotNil(t, c.Get(ptr(keyOf("a")), "", 0))
			time.Sleep(time.Hour)
		}
		assert.InDelta(t, 12+10*60/45, o.fetches(), 2)
	})
}
