package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/certtoken/certtoken/internal/workers"
)

// limitError is the end of a flight's time. Each flight has one, and hardly any shows it,
// so its text is made when it is asked for.
type limitError time.Duration

func (e limitError) Error() string {
	return fmt.Sprintf("no token within %v: %v", time.Duration(e), context.DeadlineExceeded)
}

func (limitError) Unwrap() error { return context.DeadlineExceeded }

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

// enter waits for a place, and gives it back if the flight must not go on.
func (c *Cache[T, G]) enter(call *Call[T, G]) (leave func(), err error) {
	leave, ok := c.Queue.TryEnter()
	if !ok {
		if leave, err = c.queue(call); err != nil {
			return nil, err
		}
	}
	if call.Abandoned() {
		leave()
		return nil, limitError(c.FlightLimit)
	}
	if err := c.tooManyAbandoned(call.slot); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// queue waits in the queue. Before its first turn, a flight that nobody waits for any
// more leaves the queue, so that a rush of callers who have gone doesn't hold up those
// who have come since. A flight that has had a turn goes on without its callers, and so
// does a renewal, for which nobody waits from the start.
func (c *Cache[T, G]) queue(call *Call[T, G]) (leave func(), err error) {
	s, f := call.slot, call.flight
	ctx, withdraw := context.WithCancelCause(call.whole)
	defer withdraw(nil)
	if call.deadline.IsZero() && !call.Want.behind {
		s.mu.Lock()
		unwanted := f.waiting == 0
		f.withdraw = func() { withdraw(errWithdrawn) }
		s.mu.Unlock()
		if unwanted {
			return nil, errWithdrawn
		}
	}
	return c.Queue.Enter(ctx)
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
