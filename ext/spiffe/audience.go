package spiffe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/certtoken/certtoken"
)

const (
	maxAudiences = 1000 // whose SVIDs are kept at once

	minPause = time.Second // after a failure, doubling
	maxPause = 10 * time.Second

	maxMargin = 10 * time.Second // before its end, in which an SVID isn't sent any more
)

// audiences keeps an SVID for each audience, and makes one request at a time for it.
type audiences struct {
	ask func(ctx context.Context, audience string) (*jwtsvid.SVID, error)

	mu      sync.Mutex // guards what follows; never held over I/O
	kept    map[string]*audience
	err     error // of the last answer
	refusal error // the last that took the identity back, or nil
	refused int   // how many of those there were
	closed  bool
	flights sync.WaitGroup // under way; nobody adds to it after close

	life context.Context // of the flights; ends by close
	end  context.CancelFunc
}

// audience is what is known for one audience, and the request for it under way.
type audience struct {
	known  held
	flight *flight // nil: none
}

// flight is a request to the agent under way.
type flight struct {
	of      *audience
	begun   time.Time
	refused int           // of audiences, when it began
	done    chan struct{} // closed when outcome is there
	outcome held
}

func newAudiences(ask func(ctx context.Context, audience string) (*jwtsvid.SVID, error)) *audiences {
	a := &audiences{ask: ask, kept: make(map[string]*audience)}
	a.life, a.end = context.WithCancel(context.Background())
	return a
}

// look returns what is known for an audience, and the request to wait for, which it starts
// where it is time; nil: there is nothing to wait for.
func (a *audiences) look(name string) (held, *flight, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return held{}, nil, ErrClosed
	}
	of := a.kept[name]
	if of == nil {
		if len(a.kept) >= maxAudiences && !a.forgetOne() {
			return held{}, nil, fmt.Errorf("spiffe: JWT-SVIDs for %d audiences are being asked for already", maxAudiences)
		}
		of = &audience{}
		a.kept[name] = of
	}
	if now := time.Now(); of.flight == nil && of.known.due(now) {
		of.flight = &flight{of: of, begun: now, refused: a.refused, done: make(chan struct{})}
		a.flights.Go(func() {
			svid, err := a.ask(a.life, name)
			a.land(of, svid, err)
		})
	}
	return of.known, of.flight, nil
}

// recall returns what is known by now, for a caller who has waited for a request.
func (a *audiences) recall(f *flight) held {
	a.mu.Lock()
	defer a.mu.Unlock()
	return f.of.known
}

// forgetOne makes room for another audience, and reports whether it could.
func (a *audiences) forgetOne() bool {
	for name, of := range a.kept {
		if of.flight == nil {
			delete(a.kept, name)
			return true
		}
	}
	return false
}

// land publishes what came of a flight.
func (a *audiences) land(of *audience, svid *jwtsvid.SVID, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		svid, err = nil, ErrClosed
		of.known = held{}
	case takesBack(err):
		a.refuse(err)
	case err == nil && of.flight.refused < a.refused:
		svid, err = nil, a.refusal // it may have been signed before the agent refused
	}
	of.known = of.known.after(svid, err, time.Now())
	a.err = of.known.err
	of.flight.outcome = of.known
	close(of.flight.done)
	of.flight = nil
}

// refuse forgets every SVID: the audience is no matter when the agent takes the identity
// back. The next caller for each has the agent asked again.
func (a *audiences) refuse(err error) {
	a.refusal = err
	a.refused++
	for _, of := range a.kept {
		if of.known.svid != nil {
			of.known = held{err: err}
		}
	}
}

// health is the error of the last answer.
func (a *audiences) health() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// close ends the flights, and waits for them. It reports whether this is the first call.
func (a *audiences) close() bool {
	a.mu.Lock()
	first := !a.closed
	a.closed = true
	a.mu.Unlock()
	a.end()
	a.flights.Wait()
	return first
}

// held is the SVID for an audience, and what the agent said last. It is never changed, only
// replaced.
type held struct {
	svid     *jwtsvid.SVID // the last good one; nil: none, or it was taken back
	got      time.Time     // when
	err      error         // of the last request; nil: svid is its answer
	next     time.Time     // before that the agent isn't asked again, while svid is usable
	failures int           // in a row
}

// after is what is known when the agent was asked.
func (h held) after(svid *jwtsvid.SVID, err error, now time.Time) held {
	if err == nil {
		got := held{svid: svid, got: now, next: now.Add(svid.Expiry.Sub(now) / 2)}
		if got.usable(now) {
			return got
		}
		err = over(svid)
	}
	if takesBack(err) {
		h.svid = nil
	}
	h.err = err
	h.next = now.Add(min(minPause<<min(h.failures, 10), maxPause))
	h.failures++
	return h
}

// due reports whether the agent is to be asked. The pause until next goes by the monotonic
// clock, which stands still while the machine sleeps, and an SVID ends by the other one: so
// one that has ended is renewed at once.
func (h held) due(now time.Time) bool {
	return !now.Before(h.next) || h.err == nil && !h.usable(now)
}

// usable reports whether there is an SVID that outlasts a request.
func (h held) usable(now time.Time) bool {
	if h.svid == nil {
		return false
	}
	margin := min(h.svid.Expiry.Sub(h.got)/10, maxMargin)
	return now.Before(h.svid.Expiry.Add(-margin))
}

// token is the SVID, or why there is none.
func (h held) token(now time.Time) (string, error) {
	switch {
	case h.usable(now):
		return h.svid.Marshal(), nil
	case h.err != nil:
		return "", h.err
	}
	return "", over(h.svid)
}

// over says that an SVID has ended.
func over(svid *jwtsvid.SVID) error {
	return fmt.Errorf("spiffe: %w: the agent gave a JWT-SVID that ends on %s; check the clock of this machine "+
		"and of the agent's server", certtoken.ErrExpired, svid.Expiry.UTC().Format(time.RFC3339))
}
