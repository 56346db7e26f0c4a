package cache

import (
	"context"
	"fmt"
	"time"
)

const (
	forcedPause = time.Minute // between two flights that a resource's refusals start
	freshEnough = time.Minute // for which a new token that is too short isn't asked for again
)

// Acquire returns a token, from the cache or from a flight for which it waits
// until the context ends. The key must be canonical: without duplicates, and the
// same texts for the same thing.
func (c *Cache[T, G]) Acquire(ctx context.Context, k Key, want Want[T, G]) (*T, error) {
	if want.Cacheable() {
		if t := c.getLong(&k, want.Grant, want.MinValidity); t != nil {
			return t, nil
		}
	}
	c.Owner.Missed(&k)
	for {
		if c.Work.Closed() {
			return nil, ErrClosed
		}
		if ctx.Err() != nil {
			return nil, left[T](ctx, nil)
		}
		s := c.slot(&k, want)
		t, f, err := c.join(ctx, s, want)
		if t != nil || err != nil {
			return t, err
		}
		if f == nil { // the slot was evicted in between
			continue
		}
		if err := c.wait(ctx, s, f); err != nil {
			return c.orValid(s, want, err)
		}
		if serves(f, want) {
			return c.landed(s, f, want)
		}
	}
}

// slot is where the token for k belongs. A grant that can be redeemed once has a
// slot that nobody else finds.
func (c *Cache[T, G]) slot(k *Key, want Want[T, G]) *Slot[T] {
	if want.Once {
		return newSlot[T](0, k)
	}
	return c.table.slot(k, c.Clock.Mono())
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
	t, st := s.token.Load(), s.record()
	defer s.prune()
	if c.suffices(s, t, want) {
		return t, nil, nil
	}
	f := st.flight
	if f == nil {
		var err error
		if f, err = c.begin(ctx, s, want); err != nil {
			t, err = c.orValid(s, want, err)
			return t, nil, err
		}
	} else if f.task.Within(ctx) {
		return nil, nil, fmt.Errorf("%s %w", f.task.Part(), ErrOwnFlight)
	}
	f.waiting++
	return nil, f, nil
}

// suffices reports whether the slot's token t answers the caller.
func (c *Cache[T, G]) suffices(s *Slot[T], t *T, want Want[T, G]) bool {
	switch {
	case !c.Valid(t, want.MinValidity):
		return false
	case want.InsteadOf != nil:
		return !c.same(t, want.InsteadOf) && (want.Claims == "" || s.state.claims == want.Claims)
	case c.Foreground && int64(c.now(t)) >= s.renew.Load():
		return false
	}
	return want.Claims == "" && !want.Fresh
}

// begin starts a flight, unless it is known that it would not help.
func (c *Cache[T, G]) begin(ctx context.Context, s *Slot[T], want Want[T, G]) (*flight[T], error) {
	t, st := s.token.Load(), s.state
	if err := c.stillRefused(st); err != nil {
		return nil, err
	}
	if want.MinValidity > 0 && want.Cacheable() && c.Valid(t, 0) {
		life := c.Owner.Life(t)
		if life.End-life.Granted < want.MinValidity && c.now(t)-life.Granted < freshEnough {
			return nil, &ShortLivedError[T]{Token: t, Wanted: want.MinValidity}
		}
	}
	if want.InsteadOf != nil {
		now := c.Clock.Mono()
		if st.forced && now-st.forcedAt < forcedPause {
			return nil, ErrForcedLately
		}
		st.forced, st.forcedAt = true, now
	}
	if f := c.start(ctx, s, want); f != nil {
		return f, nil
	}
	return nil, ErrClosed
}

// stillRefused returns the error of a refusal that holds, as of now.
func (c *Cache[T, G]) stillRefused(st *state[T]) error {
	r := st.refused
	if r == nil {
		return nil
	}
	left := r.until - c.Clock.Since(c.Clock.Mono(), r.ahead)
	if left <= 0 || r.condition != "" && r.condition != c.Owner.Condition() {
		st.refused = nil
		return nil
	}
	return c.Owner.Recall(r.err, left)
}

// wait waits for a flight, and returns why it was left before its end.
func (c *Cache[T, G]) wait(ctx context.Context, s *Slot[T], f *flight[T]) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		c.leave(s, f)
		return left(ctx, f)
	case <-c.Work.Context().Done():
		return ErrClosed
	}
}

// leave notes that one caller less waits for a flight.
func (c *Cache[T, G]) leave(s *Slot[T], f *flight[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && f.withdraw != nil {
		f.withdraw()
	}
}

// left is the error of a caller whose own context has ended.
func left[T any](ctx context.Context, f *flight[T]) error {
	err := &LeftError{Err: ctx.Err(), Cause: context.Cause(ctx)}
	if f != nil {
		if trouble := f.trouble.Load(); trouble != nil {
			err.Trouble = *trouble
		}
	}
	return err
}

// serves reports whether the end of f answers a caller. A flight with claims
// brings a token that is good for everybody, but its failure may be due to the
// claims. A token that other processes share may be the one that the caller won't
// have. A flight that nobody waited for has no result.
func serves[T, G any](f *flight[T], want Want[T, G]) bool {
	switch {
	case f.withdrawn:
		return false
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
	if want.MinValidity > 0 && !c.Valid(f.token, want.MinValidity) {
		return nil, &ShortLivedError[T]{Token: f.token, Wanted: want.MinValidity}
	}
	return f.token, nil
}

// orValid answers an error by the valid token, where a renewal in the caller's
// time failed and the caller could do with the old one.
func (c *Cache[T, G]) orValid(s *Slot[T], want Want[T, G], err error) (*T, error) {
	if t := s.token.Load(); c.Foreground && want.Cacheable() && !c.Work.Closed() && c.Valid(t, want.MinValidity) {
		return t, nil
	}
	return nil, err
}
