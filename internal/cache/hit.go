package cache

import (
	"context"
	"time"
)

// Get returns a token that is there and may be handed out for a further while, or
// nil. It takes no lock and allocates nothing. The key need not be canonical.
func (c *Cache[T, G]) Get(k *Key, grant G, further time.Duration) *T {
	s := c.table.find(k)
	if s == nil {
		return nil
	}
	return c.handOut(s, grant, further)
}

// Find returns the slot of a key that is short enough to be found without a lock,
// or nil. A caller who keeps it gets its token by [Cache.At].
func (c *Cache[T, G]) Find(k Key) *Slot[T] { return c.table.find(&k) }

// At is Get for a slot that was found before. It also returns nil if the slot was
// evicted.
func (c *Cache[T, G]) At(s *Slot[T], grant G, further time.Duration) *T {
	if s.dead.Load() {
		return nil
	}
	return c.handOut(s, grant, further)
}

// getLong is Get for a key of any length.
func (c *Cache[T, G]) getLong(k *Key, grant G, further time.Duration) *T {
	if !k.isLong() {
		return c.Get(k, grant, further)
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
	c.table.touch(s)
	if c.OnHit != nil {
		c.OnHit(s.kept, t)
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

// renewBehind has t renewed, once: now, or when it is its turn among all renewals.
func (c *Cache[T, G]) renewBehind(s *Slot[T], grant G, t *T) {
	later, tenant := c.renewNow(s, grant, t)
	if later {
		c.Pace.later(tenant, func() bool { return c.renewLate(s, grant, t) })
	}
}

// renewNow starts the renewal of t if that is due and nothing is under way. It returns
// true if the renewal has to wait for others. No hit looks at it again then.
func (c *Cache[T, G]) renewNow(s *Slot[T], grant G, t *T) (later bool, tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.renewable(t) || int64(c.now(t)) < s.renew.Load() {
		return false, ""
	}
	tenant = s.tenant()
	if c.Pace.enter(tenant, s.state != nil && s.state.warm) {
		c.startBehind(s, grant) // if it doesn't, the cache is closed
		return false, ""
	}
	s.renew.Store(int64(c.Owner.Life(t).End))
	return true, tenant
}

// renewLate starts a renewal that has waited, and returns false if there is no need any
// more.
func (c *Cache[T, G]) renewLate(s *Slot[T], grant G, t *T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.renewable(t) {
		return false
	}
	s.renew.Store(int64(c.now(t))) // the reading that counts if it fails
	return c.startBehind(s, grant)
}

// startBehind starts a renewal that is counted in. The caller holds s.mu.
func (c *Cache[T, G]) startBehind(s *Slot[T], grant G) bool {
	defer s.prune()
	return c.start(context.Background(), s, Want[T, G]{Grant: grant, behind: true}) != nil
}
