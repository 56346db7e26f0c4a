package cache

import (
	"context"
	"time"
)

// Get returns a token that is there and may be handed out for a further while, or
// nil. It takes no lock and allocates nothing.
func (c *Cache[T, G]) Get(tenant, user string, scopes []string, grant G, further time.Duration) *T {
	s := c.table.find(tenant, user, scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, grant, further)
}

// Find returns the slot of a key that is short enough to be found without a lock,
// or nil. Whoever keeps it gets its token by [Cache.At].
func (c *Cache[T, G]) Find(k Key) *Slot[T] { return c.table.find(k.Tenant, k.User, k.Scopes) }

// At is Get for a slot that was found before. It also returns nil if the slot was
// evicted.
func (c *Cache[T, G]) At(s *Slot[T], grant G) *T {
	if s.dead.Load() {
		return nil
	}
	return c.hit(s, grant)
}

// getLong is Get for a key of any length.
func (c *Cache[T, G]) getLong(k Key, grant G, further time.Duration) *T {
	if len(k.Scopes) <= maxUnsorted {
		return c.Get(k.Tenant, k.User, k.Scopes, grant, further)
	}
	return c.handOut(c.table.slot(k, c.Clock.Mono()), grant, further)
}

// handOut is a hit for a token that must be valid for a further while.
func (c *Cache[T, G]) handOut(s *Slot[T], grant G, further time.Duration) *T {
	if further > 0 && !c.Valid(s.token.Load(), further) {
		return nil
	}
	return c.hit(s, grant)
}

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
	life := c.Owner.Life(t)
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
	st := s.record()
	defer s.prune()
	if s.token.Load() != t || st.flight != nil || s.dead.Load() || int64(c.now(t)) < s.renew.Load() {
		return
	}
	c.start(context.Background(), s, Want[T, G]{Grant: grant, behind: true})
}
