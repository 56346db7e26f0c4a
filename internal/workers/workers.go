// Package workers counts the goroutines of a client, so that it can be closed.
package workers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// closeLimit is how long Close waits for work that ignores its context.
const closeLimit = 10 * time.Second

// Group is the work of one client. Make one with [New].
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	closed atomic.Bool
	mu     sync.Mutex // guards work.Add against Close
	work   sync.WaitGroup
}

// New returns a group without work.
func New() *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Context ends with Close.
func (g *Group) Context() context.Context { return g.ctx }

// Closed reports whether Close was called.
func (g *Group) Closed() bool { return g.closed.Load() }

// Begin admits a piece of work, for which Close waits until Done; false means
// that the group is closed.
func (g *Group) Begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return false
	}
	g.work.Add(1)
	return true
}

// Done ends a piece of work that was begun.
func (g *Group) Done() { g.work.Done() }

// Go runs f in a goroutine for which Close waits. It must be called before Close,
// or from work that Close waits for.
func (g *Group) Go(f func()) { g.work.Go(f) }

// Close ends the context, and reports whether this call was the first.
func (g *Group) Close() (first bool) {
	g.mu.Lock()
	first = !g.closed.Swap(true)
	g.mu.Unlock()
	g.cancel()
	return first
}

// Wait waits until all work is done, or returns an error after 10 s.
func (g *Group) Wait() error {
	done := make(chan struct{})
	go func() { g.work.Wait(); close(done) }()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-limit.C:
		return errors.New("closed, but a source, signer or hook that ignores its context is still busy")
	}
}

// Sleep waits, and reports whether it wasn't cut short.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
