package spiffe

import (
	"sync"
	"time"
)

// clockPause is how long a stream's timer runs before the clock is looked at.
const clockPause = time.Minute

// silence ends a stream that says nothing for too long. A timer stands still while the
// machine sleeps, and an SVID ends by the clock. So it looks at the clock in between, and
// counts what passes first by either.
type silence struct {
	end func()

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	until time.Time // by the monotonic clock, as timers go
	clock time.Time // the same without it
}

// newSilence allows a stream to be silent for d.
func newSilence(d time.Duration, end func()) *silence {
	s := &silence{end: end}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(d)
	s.timer = time.AfterFunc(min(d, clockPause), s.look)
	return s
}

// allow allows it from now on for d.
func (s *silence) allow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(d)
	s.timer.Reset(min(d, clockPause))
}

func (s *silence) set(d time.Duration) {
	s.until = time.Now().Add(d)
	s.clock = s.until.Round(0)
}

// look ends the stream when its time is over.
func (s *silence) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	rest := min(s.until.Sub(now), s.clock.Sub(now))
	if rest <= 0 {
		s.end()
		return
	}
	s.timer.Reset(min(rest, clockPause))
}

// stop is for a stream that has ended.
func (s *silence) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
	s.timer.Stop()
}
