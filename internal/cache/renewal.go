package cache

import (
	"context"
	"time"

	"github.com/certtoken/certtoken/internal/workers"
)

// hit returns the slot's token if it may be handed out, and has it renewed
// behind the caller, with the caller's grant, if that is due. It waits for
// nothing and allocates nothing.
func (c *Cache[T, G]) hit(s *Slot[T], grant G) *T {
	due, ahead := s.renew.Load(), time.Duration(s.ahead.Load())
	t := s.token.Load()
	if t == nil || c.Work.Closed() || !c.usable(t) {
		return nil
	}
	mono := c.Clock.Mono()
	isDue := due == int64(never) || int64(c.Clock.Since(mono, ahead)) >= due
	if isDue && !c.hitDue(s, grant, t, mono) {
		return nil
	}
	s.touch(mono)
	if c.OnHit != nil {
		c.OnHit(&s.key, t)
	}
	return t
}

// hitDue reports whether a token may still be handed out that is due for renewal
// or being renewed.
func (c *Cache[T, G]) hitDue(s *Slot[T], grant G, t *T, mono time.Duration) bool {
	life := c.Life(t)
	now := c.Clock.Since(mono, life.Ahead)
	if now >= life.End {
		return false
	}
	if int64(now) >= s.renew.Load() {
		if c.Foreground {
			return false
		}
		c.renewBehind(s, grant, t)
	}
	return true
}

// renewBehind starts the renewal of t, once.
func (c *Cache[T, G]) renewBehind(s *Slot[T], grant G, t *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.busy()
	if s.token.Load() != t || w.flight != nil || s.dead.Load() || int64(c.age(t)) < s.renew.Load() {
		return
	}
	c.start(context.Background(), s, Want[T, G]{Grant: grant, behind: true})
}

// warmInterval is the longest time for which KeepWarm doesn't look, so that it
// notices when the machine was suspended, and its slot stays the most used.
const warmInterval = usedGrain

// KeepWarm acquires a token that callers must never wait for and renews it in
// time, until the work is closed.
func (c *Cache[T, G]) KeepWarm(k Key) {
	for workers.Sleep(c.Work.Context(), c.warmUp(k)) {
	}
}

// warmUp has one token acquired or renewed if that is due, and returns how long
// to let it be. Errors are told to the owner, as ever.
func (c *Cache[T, G]) warmUp(k Key) (pause time.Duration) {
	const soon = 100 * time.Millisecond
	defer func() {
		if recover() != nil { // a hook of the user's, outside of a flight
			pause = minRenewPause
		}
	}()
	s := c.table.slot(k, c.Clock.Mono())
	t := s.token.Load()
	switch {
	case !c.Valid(t, 0):
		if _, err := c.Acquire(c.Work.Context(), k, Want[T, G]{}); err != nil {
			return minRenewPause
		}
		return soon
	case int64(c.age(t)) >= s.renew.Load():
		var none G
		c.renewBehind(s, none, t)
	}
	s.touch(c.Clock.Mono())
	if due := s.renew.Load(); due != int64(never) {
		return max(soon, min(warmInterval, time.Duration(due)-c.age(t)))
	}
	return soon // under way
}
