// Package clock measures time by the monotonic and by the wall clock at once, so that
// a token ends when either of them says so. It never knows what a token is, only the
// span of its life.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock measures how far time has moved since it was made. The monotonic clock
// stops while a machine is suspended, and the wall clock can be turned back, so the
// one that has moved further rules.
//
// A reading of the monotonic clock costs half of what time.Now does, so that is all
// a cache hit takes; the wall clock is read at most once in wallInterval.
type Clock struct {
	base   time.Time
	ahead  atomic.Int64 // how far the wall clock has gained on the monotonic one since base
	lookAt atomic.Int64 // monotonic reading from which the wall clock is read again
	shift  atomic.Int64 // added to the wall clock by tests
}

// wallInterval is how late a jump of the wall clock may be noticed.
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

// Mono returns the monotonic reading, and reads the wall clock too if that is due.
func (c *Clock) Mono() time.Duration {
	now := time.Since(c.base)
	if int64(now) >= c.lookAt.Load() {
		c.Look()
	}
	return now
}

// Look reads both clocks and notes how far they differ.
func (c *Clock) Look() Reading {
	now := time.Now()
	mono := now.Sub(c.base) // monotonic on both sides
	wall := now.Round(0).Add(time.Duration(c.shift.Load()))
	ahead := wall.Sub(c.base.Round(0)) - mono
	c.ahead.Store(int64(ahead))
	c.lookAt.Store(int64(mono + wallInterval))
	return Reading{Mono: mono, Ahead: ahead, Time: wall}
}

// Since returns a monotonic reading, moved forward by what the wall clock has gained
// since it was so far ahead.
func (c *Clock) Since(mono, ahead time.Duration) time.Duration {
	return mono + max(0, time.Duration(c.ahead.Load())-ahead)
}

// Shift moves the wall clock and leaves the monotonic one alone, for tests:
// forward as after a suspension, back as an administrator does.
func (c *Clock) Shift(by time.Duration) { c.shift.Add(int64(by)) }

// Span is the life of a token, in monotonic readings.
type Span struct {
	Renew, End time.Duration // from which it is renewed, and no longer handed out
	Ahead      time.Duration // how far the wall clock was ahead when it was granted
	Granted    time.Duration // when the token was asked for
}

// Age returns the reading that is to be compared with those of a span.
func (c *Clock) Age(s *Span) time.Duration { return c.Since(c.Mono(), s.Ahead) }
