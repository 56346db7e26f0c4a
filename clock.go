package certtoken

import (
	"sync/atomic"
	"time"
)

// clock tells how far time has moved since a client was made, by the monotonic
// clock and by the wall clock. The first stops while a machine is suspended,
// the second can be turned back; a token is over when either says so.
//
// A reading of the monotonic clock is half of what time.Now costs, so that is
// all a cache hit does; the wall clock is looked at once a second at most.
type clock struct {
	base   time.Time
	ahead  atomic.Int64 // how far the wall clock has gained on the monotonic one since base
	lookAt atomic.Int64 // monotonic reading from which the wall clock is looked at again

	shift atomic.Int64 // added to the wall clock by tests
}

const wallInterval = time.Second

// reading is one moment on a clock.
type reading struct {
	mono  time.Duration // since base
	ahead time.Duration
	time  time.Time // by the wall clock
}

func newClock() *clock {
	c := &clock{base: time.Now()}
	c.lookAt.Store(int64(wallInterval))
	return c
}

// mono returns the monotonic reading, having looked at the wall clock if that
// is due.
func (c *clock) mono() time.Duration {
	now := time.Since(c.base)
	if int64(now) >= c.lookAt.Load() {
		c.look()
	}
	return now
}

// look compares the two clocks.
func (c *clock) look() reading {
	now := time.Now()
	mono := now.Sub(c.base) // monotonic on both sides
	wall := now.Round(0).Add(time.Duration(c.shift.Load()))
	ahead := wall.Sub(c.base.Round(0)) - mono
	c.ahead.Store(int64(ahead))
	c.lookAt.Store(int64(mono + wallInterval))
	return reading{mono: mono, ahead: ahead, time: wall}
}

// age moves a monotonic reading forward by what the wall clock has gained since
// the token of s was granted: the later of the two clocks rules.
func (c *clock) age(mono time.Duration, s *span) time.Duration {
	return c.since(mono, s.ahead)
}

// since is age for what began when the wall clock was so far ahead.
func (c *clock) since(mono, ahead time.Duration) time.Duration {
	return mono + max(0, time.Duration(c.ahead.Load())-ahead)
}
