package cache

import (
	"time"

	"github.com/certtoken/certtoken/internal/workers"
)

const (
	// warmInterval is the longest time for which KeepWarm doesn't look, so that it
	// notices when the machine was suspended.
	warmInterval = 16 * time.Second

	// warmSoon is how soon KeepWarm looks again where something is under way.
	warmSoon = 100 * time.Millisecond
)

// KeepWarm acquires a token that callers must never wait for and renews it in
// time, until the cache is closed.
func (c *Cache[T, G]) KeepWarm(k Key) {
	for workers.Sleep(c.Work.Context(), c.warm(k)) {
	}
}

// warm has the token acquired or renewed if that is due, and returns the pause
// before the next look. The owner is told of errors as it is in every flight.
func (c *Cache[T, G]) warm(k Key) (pause time.Duration) {
	defer func() {
		if recover() != nil { // the owner panicked outside of a flight
			pause = minRenewPause
		}
	}()
	s := c.table.slot(&k, c.Clock.Mono())
	if !s.keepWarm() { // it was evicted in between
		return warmSoon
	}
	t := s.token.Load()
	switch {
	case !c.Valid(t, 0):
		if _, err := c.Acquire(c.Work.Context(), k, Want[T, G]{}); err != nil {
			return minRenewPause
		}
		return warmSoon
	case int64(c.now(t)) >= s.renew.Load():
		var none G
		c.renewBehind(s, none, t)
	}
	if due := s.renew.Load(); due != int64(never) {
		return max(warmSoon, min(warmInterval, time.Duration(due)-c.now(t)))
	}
	return warmSoon
}
