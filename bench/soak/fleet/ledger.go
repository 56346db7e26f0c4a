package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	// ledgerRequests is how many requests the endpoint remembers, far more than
	// come between two looks.
	ledgerRequests = 4000

	// clockSlip is how far the clocks of two processes of a machine may seem
	// apart.
	clockSlip = 20 * time.Millisecond
)

// ledger holds the tokens that the endpoint says it issued against those that
// the workers say they were given.
type ledger struct {
	mu      sync.Mutex
	issued  map[string]issue // by sum
	waiting []handed         // for the endpoint's word
	handed  map[string]bool  // by sum
	wrong   []string         // what is wrong with those handed out, the first
	bad     int

	whole, strange, lost int // issued tokens: for scopes asked for all the time, for others, and those kept from their client
}

type issue struct {
	scope string
	until time.Time
}

func newLedger() *ledger {
	return &ledger{issued: make(map[string]issue), handed: make(map[string]bool)}
}

// read takes over what the endpoint has issued since it last did.
func (l *ledger) read(requests []certtokentest.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range requests {
		if r.AccessToken == "" {
			continue
		}
		sum := sumOf(r.AccessToken)
		if _, known := l.issued[sum]; known {
			continue
		}
		l.issued[sum] = issue{scope: r.Scope, until: r.Time.Add(load.Lifetime)}
		switch {
		case load.Loses(r.Fault):
			l.lost++
		case load.IsStranger(r.Scope):
			l.strange++
		default:
			l.whole++
		}
	}
	waiting := l.waiting
	l.waiting = nil
	for _, h := range waiting {
		l.compare(h)
	}
}

// take notes what a worker was given.
func (l *ledger) take(h handed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed[h.Sum] = true
	l.compare(h)
}

// compare is called with the lock held.
func (l *ledger) compare(h handed) {
	is, ok := l.issued[h.Sum]
	switch {
	case !ok:
		l.waiting = append(l.waiting, h)
	case is.scope != h.Scope:
		l.blame("a token for %s was handed out for %s", is.scope, h.Scope)
	case h.Expires.After(is.until.Add(clockSlip)):
		l.blame("a token for %s is held to be valid %v longer than it is", h.Scope, h.Expires.Sub(is.until))
	}
}

const maxBlames = 5

func (l *ledger) blame(format string, args ...any) {
	if l.bad++; len(l.wrong) < maxBlames {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// close blames what the endpoint has never issued.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.waiting {
		l.blame("a token was handed out for %s that the endpoint hasn't issued", h.Scope)
	}
	l.waiting = nil
}

func (l *ledger) counts() (whole, strange, lost, handed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.whole, l.strange, l.lost, len(l.handed)
}

func (l *ledger) blames() (bad int, wrong []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad, slices.Clone(l.wrong)
}
