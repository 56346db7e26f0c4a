package certtoken

import (
	"context"
	"time"
)

// hit returns the slot's token if it may be handed out, and has it renewed
// behind the caller, with the caller's grant, if that is due. It waits for
// nothing and allocates nothing.
func (c *Client) hit(s *slot, grant Grant) *Token {
	due, ahead := s.renew.Load(), time.Duration(s.ahead.Load())
	t := s.token.Load()
	if t == nil || c.closed.Load() || !c.presentable(t) {
		return nil
	}
	mono := c.clock.mono()
	isDue := due == int64(never) || int64(c.clock.since(mono, ahead)) >= due
	if isDue && !c.hitDue(s, grant, t, mono) {
		return nil
	}
	s.touch(mono)
	if c.hooks.Hit != nil {
		c.hooks.Hit(Event{Tenant: s.key.tenant, Scopes: s.key.scopes, ExpiresAt: t.ExpiresAt()})
	}
	return t
}

// hitDue tells whether a token may still be handed out that is due for renewal
// or being renewed.
func (c *Client) hitDue(s *slot, grant Grant, t *Token, mono time.Duration) bool {
	now := c.clock.age(mono, &t.life)
	if now >= t.life.end {
		return false
	}
	if int64(now) >= s.renew.Load() {
		if c.cfg.foreground {
			return false
		}
		c.renewBehind(s, grant, t)
	}
	return true
}

// renewBehind starts the renewal of t, once.
func (c *Client) renewBehind(s *slot, grant Grant, t *Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.busy()
	if s.token.Load() != t || w.flight != nil || s.dead.Load() || int64(c.now(t)) < s.renew.Load() {
		return
	}
	c.start(context.Background(), s, ask{Request: Request{Grant: grant}, behind: true})
}

// warmInterval is the longest time for which keepWarm doesn't look, so that it
// notices when the machine was suspended, and its slot stays the most used.
const warmInterval = usedGrain

// keepWarm acquires a token that callers must never wait for and renews it in
// time, until the client is closed.
func (c *Client) keepWarm(req Request) {
	for sleep(c.ctx, c.warmUp(req)) {
	}
}

// warmUp has one token acquired or renewed if that is due, and returns how long
// to let it be. Errors are told to the hooks, as ever.
func (c *Client) warmUp(req Request) (pause time.Duration) {
	const soon = 100 * time.Millisecond
	defer func() {
		if recover() != nil { // a hook of the user's, outside of a flight
			pause = minRenewPause
		}
	}()
	s := c.cache.slot(key{scopes: req.Scopes}, c.clock.mono())
	t := s.token.Load()
	switch {
	case !c.valid(t, 0):
		if _, err := c.acquire(c.ctx, ask{Request: req}); err != nil {
			return minRenewPause
		}
		return soon
	case int64(c.now(t)) >= s.renew.Load():
		c.renewBehind(s, Grant{}, t)
	}
	s.touch(c.clock.mono())
	if due := s.renew.Load(); due != int64(never) {
		return max(soon, min(warmInterval, time.Duration(due)-c.now(t)))
	}
	return soon // under way
}
