package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/certtoken/certtoken/internal/workers"
)

// limitError is the end of a flight's time.
func limitError(limit time.Duration) error {
	return fmt.Errorf("no token within %v: %w", limit, context.DeadlineExceeded)
}

// limited starts a flight's time, or goes on with it: it returns a context that
// ends at the deadline, and has the flight given up if it goes on for long after.
func (c *Cache[T, G]) limited(call *Call[T, G], deadline time.Time) context.Context {
	if call.release != nil {
		call.release()
	}
	ctx, release := context.WithDeadlineCause(call.whole, deadline, limitError(c.FlightLimit))
	call.release = release
	call.flight.overdue.Reset(time.Until(deadline) + abandonAfter)
	return ctx
}

// turn is [Call.Turn].
func (c *Cache[T, G]) turn(call *Call[T, G]) (ctx context.Context, leave func(), err error) {
	f := call.flight
	f.overdue.Stop()
	queued := time.Now()
	give, err := c.enter(call)
	if err != nil {
		return call.whole, func() {}, err
	}
	deadline := call.deadline.Add(time.Since(queued))
	if call.deadline.IsZero() {
		deadline = time.Now().Add(c.FlightLimit)
	}
	call.deadline = deadline
	ctx = c.limited(call, deadline)
	stop := context.AfterFunc(ctx, give) // what hangs holds its place no longer
	return ctx, func() { stop(); give() }, nil
}

// enter waits in the queue, for as long as somebody waits for the flight. So the
// number of flights in the queue is bounded by that of the callers.
func (c *Cache[T, G]) enter(call *Call[T, G]) (leave func(), err error) {
	s, f := call.slot, call.flight
	ctx, withdraw := context.WithCancelCause(call.whole)
	defer withdraw(nil)
	s.mu.Lock()
	unwanted := f.waiting == 0 && !call.Want.behind
	f.withdraw = func() { withdraw(errWithdrawn) }
	s.mu.Unlock()
	if unwanted {
		return nil, errWithdrawn
	}
	leave, err = c.Queue.Enter(ctx)
	if err != nil {
		return nil, err
	}
	if call.Abandoned() {
		leave()
		return nil, limitError(c.FlightLimit)
	}
	if err := c.tooManyAbandoned(s); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// tooManyAbandoned returns an error if so many flights were given up and still run
// that another one would only add to them.
func (c *Cache[T, G]) tooManyAbandoned(s *Slot[T]) error {
	if n, parts := c.Work.Abandoned(); n >= workers.MaxAbandoned {
		return &AbandonedError{Part: parts, Running: n, OfClient: true, limit: context.DeadlineExceeded}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.state; st != nil && st.abandoned >= maxAbandonedOfKey {
		return &AbandonedError{Part: st.hangsIn, Running: st.abandoned, limit: context.DeadlineExceeded}
	}
	return nil
}
