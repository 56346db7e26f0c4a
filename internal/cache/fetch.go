package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken/internal/panics"
)

// start sends a flight off, and returns nil if the cache is closed. The caller
// holds s.mu and has seen that there is no other.
func (c *Cache[T, G]) start(ctx context.Context, s *Slot[T], want Want[T, G]) *flight[T] {
	ctx, task := c.Work.Begin(context.WithoutCancel(ctx))
	if task == nil {
		return nil
	}
	f := &flight[T]{done: make(chan struct{}), reported: make(chan struct{}), task: task, claims: want.Claims}
	s.record().flight = f
	f.renewBefore = s.renew.Swap(int64(never)) // no hit starts another flight meanwhile
	call := &Call[T, G]{Key: s.key(), Want: want, Before: s.token.Load(), slot: s, flight: f, began: time.Now()}
	call.turn = func() (context.Context, func(), error) { return c.turn(call) }
	call.throttled = func(pause time.Duration) { c.Pace.hold(call.Key.Tenant, pause) }
	go c.run(ctx, call)
	return f
}

// run is a flight from its start to its end, also when nobody waits for it any more.
func (c *Cache[T, G]) run(ctx context.Context, call *Call[T, G]) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.Work.Context(), func() { cancel(ErrClosed) })()
	call.whole = ctx
	f := call.flight
	f.overdue = time.AfterFunc(c.FlightLimit+abandonAfter, func() { c.abandon(call) })
	defer c.end(call)

	var out Fetched[T]
	fetched := false
	defer func() { // also when a part of the program panics, or ends this goroutine
		if p := recover(); p != nil {
			out.Err = panics.Error(f.task.Part(), p)
		} else if !fetched {
			out.Err = fmt.Errorf("%s ended its goroutine", f.task.Part())
		}
		kept, pause := c.land(call, out)
		f.overdue.Reset(c.FlightLimit + abandonAfter) // the rest is bounded too
		quietly(func() {
			if out.After != nil {
				out.After(kept)
			}
		})
		if kept {
			c.tellFailure(call, pause)
		}
	}()
	limited := c.limited(call, call.began.Add(c.FlightLimit))
	if out.Err = c.tooManyAbandoned(call.slot); out.Err == nil {
		out = c.Owner.Fetch(limited, call)
	}
	fetched = true
}

// land puts a flight's result where it belongs and lets the waiters go. kept is
// false if it has landed before, because it was given up.
func (c *Cache[T, G]) land(call *Call[T, G], out Fetched[T]) (kept bool, pause time.Duration) {
	f, s := call.flight, call.slot
	// An error can be one of the user's, whose methods run when it is looked at. So it is
	// looked at before the mutex is taken.
	withdrawn, verdict := isWithdrawn(out.Err), c.judge(out.Err, &call.Key)
	s.mu.Lock()
	if f.landed {
		s.mu.Unlock()
		return false, 0
	}
	f.landed = true
	if call.Want.behind {
		defer c.Pace.leave(out.Err == nil) // when the slot's mutex is free: another renewal may start
	}
	f.token, f.shared, f.err, f.withdrawn = out.Token, out.Shared, out.Err, withdrawn
	if c.Work.Closed() {
		f.token, f.err = nil, ErrClosed
	}
	st := s.record()
	st.flight = nil
	switch {
	case f.err == nil:
		st.failures, st.refused, st.claims = 0, nil, f.claims
		c.put(s, f.token)
	case f.withdrawn:
		st.forced = st.forced && call.Want.InsteadOf == nil
		s.renew.Store(f.renewBefore)
	default:
		pause = c.noteFailure(call, verdict)
	}
	s.prune()
	s.mu.Unlock()
	close(f.done)
	c.table.settle(s, c.Clock.Mono())
	return true, pause
}

// isWithdrawn reports whether a flight ended because nobody waited any more. A user's
// error that panics when it is asked is another one.
func isWithdrawn(err error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, errWithdrawn)
}

// judge is the owner's verdict, or none if the owner panics over a user's error.
func (c *Cache[T, G]) judge(err error, k *Key) (v Verdict) {
	if err == nil {
		return Verdict{}
	}
	defer func() {
		if recover() != nil {
			v = Verdict{}
		}
	}()
	return c.Owner.Judge(err, k)
}

// put makes a token the slot's. The order of its steps is that of hit turned
// round, so that a reader of a time of renewal also reads the token that it belongs
// to, or a newer one.
func (c *Cache[T, G]) put(s *Slot[T], t *T) {
	life := c.Owner.Life(t)
	s.token.Store(t)
	s.ahead.Store(int64(life.Ahead))
	s.renew.Store(int64(life.Renew))
}

// noteFailure remembers what concerns later callers, and returns the pause before
// the next renewal. What came of a request with claims may be due to them: of that,
// only what is general concerns the others. The caller holds the slot's mutex.
func (c *Cache[T, G]) noteFailure(call *Call[T, G], verdict Verdict) time.Duration {
	s, f, before := call.slot, call.flight, call.Before
	st, now := s.record(), c.Clock.Look()
	if verdict.Remember > 0 && (verdict.General || f.claims == "") {
		st.refused = &refusal{
			err:       f.err,
			until:     now.Mono + verdict.Remember,
			ahead:     now.Ahead,
			condition: verdict.Condition,
		}
	}
	var life, pause time.Duration
	if before != nil {
		life = c.Owner.Life(before).End - c.Owner.Life(before).Granted
	}
	if f.claims == "" {
		st.failures++
		pause = renewPause(st.failures, life)
	}
	pause = max(pause, verdict.Pause)
	if verdict.Hopeless && before != nil {
		pause = life
	}
	due := max(f.renewBefore, int64(c.now(before)+pause))
	if before != nil {
		due = min(due, int64(c.Owner.Life(before).End)) // until then, a hit looks at nothing else
	}
	s.renew.Store(due)
	return pause
}

// tellFailure tells the owner of a renewal behind the callers that failed.
func (c *Cache[T, G]) tellFailure(call *Call[T, G], pause time.Duration) {
	err := call.flight.err
	if !call.Want.behind || err == nil {
		return
	}
	quietly(func() {
		if !errors.Is(err, ErrClosed) {
			c.Owner.RenewalFailed(&call.Key, call.Before, err, pause)
		}
	})
}

// abandon gives up a flight whose time is long over. Its waiters get an error, and
// the next caller starts another flight.
func (c *Cache[T, G]) abandon(call *Call[T, G]) {
	f, s := call.flight, call.slot
	s.mu.Lock()
	if f.ended || f.abandoned {
		s.mu.Unlock()
		return
	}
	f.abandoned, f.hungIn = true, f.task.Part()
	st := s.record()
	st.abandoned++
	st.hangsIn = f.hungIn
	s.mu.Unlock()
	defer close(f.reported)
	f.task.Abandon()
	limit := limitError(c.FlightLimit)
	err := &AbandonedError{Part: f.hungIn, After: c.FlightLimit + abandonAfter, Running: 1, limit: limit}
	kept, pause := c.land(call, Fetched[T]{Err: err})
	quietly(func() { c.Owner.Abandoned(&call.Key, err) })
	if kept {
		c.tellFailure(call, pause)
	}
}

// end is the last that a flight does, also one that was given up.
func (c *Cache[T, G]) end(call *Call[T, G]) {
	f, s := call.flight, call.slot
	defer f.task.End()
	f.overdue.Stop()
	call.release()
	s.mu.Lock()
	f.ended = true
	abandoned := f.abandoned
	s.mu.Unlock()
	if !abandoned {
		return
	}
	// A hook that hangs over the news keeps the flight counted.
	<-f.reported
	quietly(func() { c.Owner.Returned(&call.Key, f.hungIn, time.Since(call.began)) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record().abandoned--
	s.prune()
}

// quietly runs what is told to the owner after a flight: a panic there has nobody
// to be told to.
func quietly(tell func()) {
	defer func() { _ = recover() }()
	tell()
}
