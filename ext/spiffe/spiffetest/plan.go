package spiffetest

import (
	"sync"
	"sync/atomic"
)

// plan is what an agent is to answer, and how often it was asked.
type plan struct {
	streams atomic.Int64 // of X.509-SVIDs, opened so far
	jwts    atomic.Int64 // JWT-SVIDs asked for so far

	mu  sync.Mutex
	now state
}

// state is what an answer is made of.
type state struct {
	identities []Identity
	generation int // of the X.509-SVIDs
	hung       bool
	failure    error
	changed    chan struct{} // closed when another state takes its place
}

func newPlan(identities []Identity) *plan {
	return &plan{now: state{identities: identities, changed: make(chan struct{})}}
}

func (p *plan) change(f func(*state)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.now)
	close(p.now.changed)
	p.now.changed = make(chan struct{})
}

func (p *plan) state() state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}
