package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	landingGrace = time.Second // for a flight to end once its time is up
	forcedPause  = time.Minute // between two renewals that a resource's 401 forces
	freshEnough  = time.Minute // during which a new token that is too short isn't asked for again
)

// errForcedLately leaves a resource's refusal as it is.
var errForcedLately = errors.New("the token was already renewed for this resource within the last minute")

// Acquire returns a token, from the cache or from a flight for which it waits
// until the context ends. The key must be canonical.
func (c *Cache[T, G]) Acquire(ctx context.Context, k Key, want Want[T, G]) (*T, error) {
	if want.Cacheable() {
		if t := c.getLong(k, want.Grant, want.Further); t != nil {
			return t, nil
		}
	}
	c.OnMiss(&k)
	for {
		if c.Work.Closed() {
			return nil, ErrClosed
		}
		if ctx.Err() != nil {
			return nil, waitError[T](ctx, nil)
		}
		s := c.slot(k, want)
		t, f, err := c.join(ctx, s, want)
		if t != nil || err != nil {
			return t, err
		}
		if f == nil { // the slot was evicted in between
			continue
		}
		if err := c.wait(ctx, f); err != nil {
			return c.orValid(s, want, err)
		}
		if serves(f, want) {
			return c.landed(s, f, want)
		}
	}
}

// slot is where the token for k belongs. A grant that can be redeemed once has a
// slot that nobody else finds.
func (c *Cache[T, G]) slot(k Key, want Want[T, G]) *Slot[T] {
	if want.Once {
		return &Slot[T]{key: k}
	}
	return c.table.slot(k, c.Clock.Mono())
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

// wait waits for a flight, and returns why it was left before its end.
func (c *Cache[T, G]) wait(ctx context.Context, f *flight[T]) error {
	closed := c.Work.Context().Done()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return waitError(ctx, f)
	case <-closed:
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
	case <-closed:
		return ErrClosed
	case <-grace.C:
		return fmt.Errorf("a source, signer or hook has not returned in time: %w", errFlightLimit)
	}
}

// waitError is the end of the caller's own context: its error, its cause if that
// is another, and what the flight has met so far.
func waitError[T any](ctx context.Context, f *flight[T]) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	text := "gave up waiting for a token"
	if f != nil {
		if met := f.trouble.Load(); met != nil {
			text += " (so far: " + (*met).Error() + ")"
		}
	}
	if errors.Is(cause, err) {
		return fmt.Errorf("%s: %w", text, cause)
	}
	return fmt.Errorf("%s: %w: %w", text, err, cause)
}

// serves reports whether the end of f answers a caller. A flight with claims
// brings a token that is good for everybody, but its failure may be due to the
// claims. A token that other processes share may be the one that the caller won't
// have.
func serves[T, G any](f *flight[T], want Want[T, G]) bool {
	switch {
	case want.Claims != "":
		return f.claims == want.Claims
	case f.claims != "" && f.err != nil:
		return false
	}
	return want.Cacheable() || !f.shared
}

// landed is what a waiter gets of a flight that served it.
func (c *Cache[T, G]) landed(s *Slot[T], f *flight[T], want Want[T, G]) (*T, error) {
	if f.err != nil {
		return c.orValid(s, want, f.err)
	}
	if want.Further > 0 && !c.Valid(f.token, want.Further) {
		return nil, c.shortLived(f.token, want.Further)
	}
	return f.token, nil
}

// orValid answers an error by the valid token, where a renewal in the caller's
// time failed and the caller could do with the old one.
func (c *Cache[T, G]) orValid(s *Slot[T], want Want[T, G], err error) (*T, error) {
	if t := s.token.Load(); c.Foreground && want.Cacheable() && !c.Work.Closed() && c.Valid(t, want.Further) {
		return t, nil
	}
	return nil, err
}

func (c *Cache[T, G]) shortLived(t *T, want time.Duration) error {
	return fmt.Errorf("%w: a new token ends at %s, wanted is %v from now",
		ErrShortLived, c.Ends(t).UTC().Format(time.RFC3339), want)
}

// join gives the caller what is there: a token, a flight to wait for, or the
// error of a refusal that still holds. If it starts a flight, it returns that.
// All nil means that the slot is dead.
func (c *Cache[T, G]) join(ctx context.Context, s *Slot[T], want Want[T, G]) (*T, *flight[T], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.Load() {
		return nil, nil, nil
	}
	t, w := s.token.Load(), s.busy()
	if c.suffices(s, w, t, want) {
		return t, nil, nil
	}
	if w.flight != nil {
		return nil, w.flight, nil
	}
	if err := c.stillRefused(w); err != nil {
		t, err = c.orValid(s, want, err)
		return t, nil, err
	}
	if want.Further > 0 && want.Cacheable() && c.Valid(t, 0) {
		life := c.Life(t)
		if life.End-life.Granted < want.Further && c.age(t)-life.Granted < freshEnough {
			return nil, nil, c.shortLived(t, want.Further)
		}
	}
	if want.InsteadOf != nil {
		now := c.Clock.Mono()
		if w.forced && now-w.forcedAt < forcedPause {
			return nil, nil, errForcedLately
		}
		w.forced, w.forcedAt = true, now
		if want.Claims == "" {
			s.forget(want.InsteadOf)
		}
	}
	f := c.start(ctx, s, want)
	if f == nil {
		return nil, nil, ErrClosed
	}
	return nil, f, nil
}

// suffices reports whether the slot's token answers the caller.
func (c *Cache[T, G]) suffices(s *Slot[T], w *work[T], t *T, want Want[T, G]) bool {
	switch {
	case !c.Valid(t, want.Further):
		return false
	case want.InsteadOf != nil:
		return t != want.InsteadOf && (want.Claims == "" || w.claims == want.Claims)
	case c.Foreground && int64(c.age(t)) >= s.renew.Load():
		return false
	}
	return want.Claims == "" && !want.Fresh
}
