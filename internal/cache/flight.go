package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken/internal/panics"
)

// flightLimit bounds one flight, with all its attempts.
const flightLimit = 30 * time.Second

var errFlightLimit = fmt.Errorf("no token within %v: %w", flightLimit, context.DeadlineExceeded)

// Call is one fetch as its owner sees it.
type Call[T, G any] struct {
	Key    Key
	Want   Want[T, G]
	Before *T // that the slot has, or nil

	flight *flight[T]
}

// Met tells callers who give up what went wrong with an attempt that is being
// repeated.
func (c *Call[T, G]) Met(err error) { c.flight.trouble.Store(&err) }

// Fetched is what a fetch came to.
type Fetched[T any] struct {
	Token  *T
	Err    error
	Shared bool   // other processes have the token too
	Settle func() // what is left to do when the waiters have gone; may be nil
}

// busy returns the slot's work, made at need. The caller holds s.mu.
func (s *Slot[T]) busy() *work[T] {
	if s.work == nil {
		s.work = new(work[T])
	}
	return s.work
}

// start sends a flight off; nil if the client is closed. The caller holds s.mu
// and has seen that there is none.
func (c *Cache[T, G]) start(ctx context.Context, s *Slot[T], want Want[T, G]) *flight[T] {
	if !c.Work.Begin() {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), flightLimit, errFlightLimit)
	f := &flight[T]{done: make(chan struct{}), over: ctx.Done(), claims: want.Claims}
	s.work.flight = f
	f.renewBefore = s.renew.Swap(int64(never)) // no hit tries while the flight is under way
	go func() {
		defer cancel()
		c.fly(ctx, cancel, s, &Call[T, G]{Key: s.key, Want: want, flight: f})
	}()
	return f
}

// fly runs a flight to its end, whoever still waits for it. It lands even when
// a user's source or hook panics or ends its goroutine.
func (c *Cache[T, G]) fly(ctx context.Context, cancel func(), s *Slot[T], call *Call[T, G]) {
	defer c.Work.Done()
	defer context.AfterFunc(c.Work.Context(), cancel)()

	call.Before = s.token.Load()
	f := call.flight
	var out Fetched[T]
	f.err = errors.New("a source, signer or hook ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			f.err = panics.Error(p)
		}
		c.land(s, call)
		settle(out)
	}()
	out = c.Fetch(ctx, call)
	f.token, f.shared, f.err = out.Token, out.Shared, out.Err
}

// land puts a flight's result where it belongs and lets the waiters go.
func (c *Cache[T, G]) land(s *Slot[T], call *Call[T, G]) {
	f, before := call.flight, call.Before
	if c.Work.Context().Err() != nil {
		f.token, f.err = nil, ErrClosed
	}
	s.mu.Lock()
	w := s.work
	w.flight = nil
	var pause time.Duration
	if f.err == nil {
		w.failures, w.refused, w.claims = 0, nil, f.claims
		life := c.Life(f.token)
		// In this order, and the other way round in hit: who reads a due time
		// reads the token that it belongs to, or a newer one.
		s.token.Store(f.token)
		s.ahead.Store(int64(life.Ahead))
		s.renew.Store(int64(life.Renew))
	} else {
		pause = c.noteFailure(s, f, before)
		due := max(f.renewBefore, int64(c.age(before)+pause))
		if before != nil {
			due = min(due, int64(c.Life(before).End)) // before it, hit looks at nothing else
		}
		s.renew.Store(due)
	}
	if w.empty() {
		s.work = nil
	}
	s.mu.Unlock()
	close(f.done)
	c.table.tidy(c.Clock.Mono())
	if call.Want.behind && f.err != nil && !errors.Is(f.err, ErrClosed) {
		c.renewalFailed(s, f, before, pause)
	}
}

// renewalFailed tells the owner, whose panic by now can't hurt the waiters.
func (c *Cache[T, G]) renewalFailed(s *Slot[T], f *flight[T], before *T, pause time.Duration) {
	defer func() { _ = recover() }()
	c.OnRenewalFailed(&s.key, before, f.err, pause)
}

func (w *work[T]) empty() bool {
	return w.flight == nil && w.refused == nil && w.failures == 0 && !w.forced && w.claims == ""
}

// settle does what a flight has left for after its landing. A hook's panic
// there has nobody to be told to.
func settle[T any](out Fetched[T]) {
	defer func() { _ = recover() }()
	if out.Settle != nil {
		out.Settle()
	}
}
