// Package clock tells how far time has moved, by the monotonic and the wall
// clock: a token is over when either of them says so.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock tells how far time has moved since a client was made, by the monotonic
// clock and by the wall clock. The first stops while a machine is suspended,
// the second can be turned back; a token is over when either says so.
//
// A reading of the monotonic clock is half of what time.Now costs, so that is
// all a cache hit does; the wall clock is looked at once a second at most.
type Clock struct {
	base   time.Time
	ahead  atomic.Int64 // how far the wall clock has gained on the monotonic one since base
	lookAt atomic.Int64 // monotonic reading from which the wall clock is looked at again

	shift atomic.Int64 // added to the wall clock by tests

}

const wallInterval = time.Second

// Reading is one moment on a clock.
type Reading struct {
	Mono  time.Duration // since the clock was made
	Ahead time.Duration // how far the wall clock had gained on the monotonic one
	Time  time.Time     // by the wall clock
}

// New returns a clock that starts now.
func New() *Clock {
	c := &Clock{base: time.Now()}
	c.lookAt.Store(int64(wallInterval))
	return c
}

// Mono returns the monotonic reading, having looked at the wall clock if that
// is due.
func (c *Clock) Mono() time.Duration {
	now := time.Since(c.base)
	if int64(now) >= c.lookAt.Load() {
		c.Look()
	}
	return now
}

// Look compares the two clocks.
func (c *Clock) Look() Reading {
	now := time.Now()
	mono := now.Sub(c.base) // monotonic on both sides
	wall := now.Round(0).Add(time.Duration(c.shift.Load()))
	ahead := wall.Sub(c.base.Round(0)) - mono
	c.ahead.Store(int64(ahead))
	c.lookAt.Store(int64(mono + wallInterval))
	return Reading{Mono: mono, Ahead: ahead, Time: wall}
}

// Since moves a monotonic reading forward by what the wall clock has gained since
// it was so far ahead: of the two clocks, the later one rules.
func (c *Clock) Since(mono, ahead time.Duration) time.Duration {
	return mono + max(0, time.Duration(c.ahead.Load())-ahead)
}

// Shift moves the wall clock and leaves the monotonic one alone, for tests:
// forward as after a suspension, back as an administrator does.
func (c *Clock) Shift(by time.Duration) { c.shift.Add(int64(by)) }

// Span is the life of a token on a clock: readings of its monotonic side.
type Span struct {
	Renew, End time.Duration // from which it is renewed, and no longer handed out
	Ahead      time.Duration // how far the wall clock was ahead when it was granted
	Granted    time.Duration
}

// Age is the reading that counts for a token: that of the later clock.
func (c *Clock) Age(s *Span) time.Duration { return c.Since(c.Mono(), s.Ahead) }
