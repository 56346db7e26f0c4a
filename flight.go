package certtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// flightLimit bounds one flight, with all its attempts.
const flightLimit = 30 * time.Second

var errFlightLimit = fmt.Errorf("no token within %v: %w", flightLimit, context.DeadlineExceeded)

// busy returns the slot's work, made at need. The caller holds s.mu.
func (s *slot) busy() *work {
	if s.work == nil {
		s.work = new(work)
	}
	return s.work
}

// start sends a flight off; nil if the client is closed. The caller holds s.mu
// and has seen that there is none.
func (c *Client) start(ctx context.Context, s *slot, req ask) *flight {
	if !c.begin() {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), flightLimit, errFlightLimit)
	f := &flight{done: make(chan struct{}), over: ctx.Done(), claims: req.Claims}
	s.work.flight, req.flight = f, f
	f.renewBefore = s.renew.Swap(int64(never)) // no hit tries while the flight is under way
	go func() {
		defer cancel()
		c.fly(ctx, cancel, s, f, req)
	}()
	return f
}

// fly runs a flight to its end, whoever still waits for it. It lands even when
// a user's source or hook panics or ends its goroutine.
func (c *Client) fly(ctx context.Context, cancel func(), s *slot, f *flight, req ask) {
	defer c.work.Done()
	defer context.AfterFunc(c.ctx, cancel)()

	before := s.token.Load()
	var out fetched
	f.err = errors.New("certtoken: a source, signer or hook ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			f.err = panicError(p)
		}
		c.land(s, f, req, before)
		c.settle(out)
	}()
	out = c.fetch(ctx, s.key, req, before)
	f.token, f.shared, f.err = out.token, out.shared, out.err
}

// panicError tells where a panic was, and not what it said: that could be a
// secret.
func panicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("certtoken: a source, signer or hook panicked (%s) in %s", what, frame.Function)
		}
		if !more {
			return fmt.Errorf("certtoken: a source, signer or hook panicked (%s)", what)
		}
	}
}

// land puts a flight's result where it belongs and lets the waiters go.
func (c *Client) land(s *slot, f *flight, req ask, before *Token) {
	if c.ctx.Err() != nil {
		f.token, f.err = nil, ErrClosed
	}
	s.mu.Lock()
	w := s.work
	w.flight = nil
	var pause time.Duration
	if f.err == nil {
		w.failures, w.refused, w.claims = 0, nil, f.claims
		// In this order, and the other way round in hit: who reads a due time
		// reads the token that it belongs to, or a newer one.
		s.token.Store(f.token)
		s.ahead.Store(int64(f.token.life.ahead))
		s.renew.Store(int64(f.token.life.renew))
	} else {
		pause = c.noteFailure(s, f, before)
		due := max(f.renewBefore, int64(c.now(before)+pause))
		if before != nil {
			due = min(due, int64(before.life.end)) // before it, hit looks at nothing else
		}
		s.renew.Store(due)
	}
	if w.empty() {
		s.work = nil
	}
	s.mu.Unlock()
	close(f.done)
	c.cacheOf(s.key).tidy(c.clock.mono())
	if req.behind && f.err != nil && !errors.Is(f.err, ErrClosed) {
		c.renewalFailed(s, f, before, pause)
	}
}

// renewalFailed tells the hook, which by now can't hurt the waiters any more.
func (c *Client) renewalFailed(s *slot, f *flight, before *Token, pause time.Duration) {
	defer func() { _ = recover() }()
	emit(c.hooks.RenewalFailed, Event{
		Tenant: s.key.tenant, Scopes: s.key.scopes,
		Err: f.err, ExpiresAt: before.ExpiresAt(), RetryIn: pause,
	})
}

func (w *work) empty() bool {
	return w.flight == nil && w.refused == nil && w.failures == 0 && !w.forced && w.claims == ""
}

// fetched is what fetch found.
type fetched struct {
	token  *Token
	err    error
	shared bool   // the token is from the store
	settle func() // what is left to do when the waiters have gone; may be nil
}

// fetch gets a token from the shared store if there is one, or else from the
// endpoint.
func (c *Client) fetch(ctx context.Context, k key, req ask, before *Token) fetched {
	authority, err := c.authority.forTenant(k.tenant)
	if err != nil {
		return fetched{err: err}
	}
	if c.shared != nil && !req.once {
		return c.fetchShared(ctx, authority, k, req, before)
	}
	t, err := c.request(ctx, authority, k, req)
	return fetched{token: t, err: err}
}

// settle does what a flight has left for after its landing. A hook's panic
// there has nobody to be told to.
func (c *Client) settle(out fetched) {
	defer func() { _ = recover() }()
	if out.settle != nil {
		out.settle()
	}
}
