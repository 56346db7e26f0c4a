package certtoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	landingGrace = time.Second // that a flight whose time is over has to land
	forcedPause  = time.Minute // between two renewals that a resource's 401 forces
	freshEnough  = time.Minute // so long a token that was too short from the start isn't asked for again
)

// now is the age of t's clock at this moment.
func (c *Client) now(t *Token) time.Duration {
	if t == nil {
		return c.clock.mono()
	}
	return c.clock.age(c.clock.mono(), &t.life)
}

// ask is a request as the client works on it.
type ask struct {
	Request

	// insteadOf is a token that a resource refused: any other will do, and no more
	// than one flight a minute is started for such a reason, so that a resource
	// which always refuses can't have the endpoint asked in a loop.
	insteadOf *Token

	once   bool    // the grant can be redeemed once
	flight *flight // that works on it
	behind bool    // a renewal behind the callers
}

// cacheable tells whether a token from the cache will do.
func (r *ask) cacheable() bool { return r.Claims == "" && !r.Fresh && r.insteadOf == nil && !r.once }

// errForcedLately says that a resource's refusal is left to stand.
var errForcedLately = errors.New("certtoken: the token was already renewed for this resource within the last minute")

// acquire is the way of everybody whom the cache can't serve at once.
func (c *Client) acquire(ctx context.Context, req ask) (*Token, error) {
	if c.cache == nil {
		return nil, errNotMade
	}
	k, err := c.key(req.Request)
	if err != nil {
		return nil, err
	}
	req.Scopes, req.Tenant, req.once = k.scopes, k.tenant, req.Grant.show().once
	if req.cacheable() {
		if t := c.cachedAs(k, req.Grant, req.MinValidity); t != nil {
			return t, nil
		}
	}
	emit(c.hooks.Miss, Event{Tenant: k.tenant, Scopes: k.scopes})
	for {
		if c.closed.Load() {
			return nil, ErrClosed
		}
		if ctx.Err() != nil {
			return nil, waitError(ctx, nil)
		}
		s := c.slot(k, req)
		t, f, err := c.join(ctx, s, req)
		if t != nil || err != nil {
			return t, err
		}
		if f == nil { // the slot was evicted in between
			continue
		}
		if err := c.wait(ctx, f); err != nil {
			return c.orValid(s, req, err)
		}
		if f.serves(req) {
			return c.landed(s, f, req)
		}
	}
}

// slot is where the token for k belongs. A grant that can be redeemed once has a
// slot that nobody else finds.
func (c *Client) slot(k key, req ask) *slot {
	if req.once {
		return &slot{key: k}
	}
	return c.cacheOf(k).slot(k, c.clock.mono())
}

// cacheOf is the cache for k.
func (c *Client) cacheOf(k key) *cache {
	if k.user != "" {
		return c.users
	}
	return c.cache
}

// cached is the client's own token in the cache, if there is one that may be
// handed out now and for a further while.
func (c *Client) cached(tenant string, scopes []string, further time.Duration) *Token {
	if c.cache == nil {
		return nil
	}
	s := c.cache.find(tenant, "", scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, Grant{}, further)
}

// cachedAs is cached for a key that was found out the long way: by another
// spelling, of too many scopes for the way without a lock, or of a user.
func (c *Client) cachedAs(k key, grant Grant, further time.Duration) *Token {
	in := c.cacheOf(k)
	if len(k.scopes) > maxUnsorted {
		return c.handOut(in.slot(k, c.clock.mono()), grant, further)
	}
	s := in.find(k.tenant, k.user, k.scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, grant, further)
}

// handOut is hit for a token that must be valid for a further while.
func (c *Client) handOut(s *slot, grant Grant, further time.Duration) *Token {
	if further > 0 && !c.valid(s.token.Load(), further) {
		return nil
	}
	return c.hit(s, grant)
}

// wait waits for a flight, and returns why it was left before its end.
func (c *Client) wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return waitError(ctx, f)
	case <-c.ctx.Done():
		return ErrClosed
	case <-f.over:
	}
	// The flight's time is over. It lands at once, unless a source or signer
	// ignores its context; then it is left to itself.
	grace := time.NewTimer(landingGrace)
	defer grace.Stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return waitError(ctx, f)
	case <-c.ctx.Done():
		return ErrClosed
	case <-grace.C:
		return fmt.Errorf("certtoken: a source, signer or hook has not returned in time: %w", errFlightLimit)
	}
}

// waitError is the end of the caller's own context: its error, its cause if that
// is another, and what the flight has met so far.
func waitError(ctx context.Context, f *flight) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	text := "certtoken: gave up waiting for a token"
	if f != nil {
		if met := f.trouble.Load(); met != nil {
			text += " (so far: " + strings.TrimPrefix((*met).Error(), "certtoken: ") + ")"
		}
	}
	if errors.Is(cause, err) {
		return fmt.Errorf("%s: %w", text, cause)
	}
	return fmt.Errorf("%s: %w: %w", text, err, cause)
}

// serves tells whether the end of f answers req. A flight with claims brings a
// token that is good for everybody, but its failure may be due to the claims. A
// token that other processes share may be the one that the caller won't have.
func (f *flight) serves(req ask) bool {
	switch {
	case req.Claims != "":
		return f.claims == req.Claims
	case f.claims != "" && f.err != nil:
		return false
	}
	return req.cacheable() || !f.shared
}

// landed is what a waiter gets of a flight that served it.
func (c *Client) landed(s *slot, f *flight, req ask) (*Token, error) {
	t, err := f.token, f.err
	if err != nil {
		return c.orValid(s, req, err)
	}
	if req.MinValidity > 0 && !c.valid(t, req.MinValidity) {
		return nil, shortLived(t, req.MinValidity)
	}
	return t, nil
}

// orValid answers an error by the valid token, where a renewal in the caller's
// time failed and the caller could do with the old one.
func (c *Client) orValid(s *slot, req ask, err error) (*Token, error) {
	if t := s.token.Load(); c.cfg.foreground && req.cacheable() && !c.closed.Load() && c.valid(t, req.MinValidity) {
		return t, nil
	}
	return nil, err
}

func shortLived(t *Token, want time.Duration) error {
	return fmt.Errorf("certtoken: %w: a new token ends at %s, wanted is %v from now",
		ErrShortLived, t.ExpiresAt().UTC().Format(time.RFC3339), want)
}

// valid tells whether t is handed out now and for a further while.
func (c *Client) valid(t *Token, further time.Duration) bool {
	return t != nil && further < t.life.end-c.now(t) && c.presentable(t)
}

// join gives the caller what is there: a token, a flight to wait for, or the
// error of a refusal that still holds. If it starts a flight, it returns that.
// All nil means that the slot is dead.
func (c *Client) join(ctx context.Context, s *slot, req ask) (*Token, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.Load() {
		return nil, nil, nil
	}
	t, w := s.token.Load(), s.busy()
	if c.suffices(s, w, t, req) {
		return t, nil, nil
	}
	if w.flight != nil {
		return nil, w.flight, nil
	}
	if err := c.stillRefused(w); err != nil {
		t, err = c.orValid(s, req, err)
		return t, nil, err
	}
	if req.MinValidity > 0 && req.cacheable() && c.valid(t, 0) &&
		t.life.end-t.life.granted < req.MinValidity && c.now(t)-t.life.granted < freshEnough {
		return nil, nil, shortLived(t, req.MinValidity)
	}
	if req.insteadOf != nil {
		now := c.clock.mono()
		if w.forced && now-w.forcedAt < forcedPause {
			return nil, nil, errForcedLately
		}
		w.forced, w.forcedAt = true, now
		if req.Claims == "" {
			s.forget(req.insteadOf)
		}
	}
	f := c.start(ctx, s, req)
	if f == nil {
		return nil, nil, ErrClosed
	}
	return nil, f, nil
}

// suffices tells whether the slot's token answers the request.
func (c *Client) suffices(s *slot, w *work, t *Token, req ask) bool {
	switch {
	case !c.valid(t, req.MinValidity):
		return false
	case req.insteadOf != nil:
		return t != req.insteadOf && (req.Claims == "" || w.claims == req.Claims)
	case c.cfg.foreground && int64(c.now(t)) >= s.renew.Load():
		return false
	}
	return req.Claims == "" && !req.Fresh
}
