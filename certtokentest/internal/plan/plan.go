// Package plan says which of a test's faults the next request meets. It never knows
// what a fault does.
package plan

import (
	"sync"
	"time"
)

// Plan is which faults F the next requests R meet. The zero value has none. Its
// methods may be called from many goroutines.
type Plan[F, R any] struct {
	mu     sync.Mutex
	queue  []F
	turns  []F // come again and again
	turn   int
	until  time.Time // of turns
	decide func(R) *F
}

// Add plans faults for the next requests, one each.
func (p *Plan[F, R]) Add(faults []F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, faults...)
}

// TakeTurns plans faults in turn, for all requests before a time.
func (p *Plan[F, R]) TakeTurns(faults []F, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns, p.turn, p.until = faults, 0, until
}

// Ask lets a function decide about requests that nothing is planned for.
func (p *Plan[F, R]) Ask(decide func(R) *F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

// Clear forgets everything that was planned.
func (p *Plan[F, R]) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.turns, p.decide = nil, nil, nil
}

// Next is the fault of a request, or nil.
func (p *Plan[F, R]) Next(r R) *F {
	fault, decide := p.planned()
	if fault != nil || decide == nil {
		return fault
	}
	return decide(r) // without the lock, since it may take its time
}

func (p *Plan[F, R]) planned() (*F, func(R) *F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 {
		fault := p.queue[0]
		p.queue = p.queue[1:]
		return &fault, nil
	}
	if len(p.turns) > 0 && time.Now().Before(p.until) {
		fault := p.turns[p.turn%len(p.turns)]
		p.turn++
		return &fault, nil
	}
	return nil, p.decide
}
