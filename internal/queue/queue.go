// Package queue lets a limited number of goroutines through at once, in the order
// in which they came. It never knows what they do with their place.
package queue

import (
	"container/list"
	"context"
	"sync"
)

// Queue has a number of places. Make one with [New].
type Queue struct {
	mu      sync.Mutex // guards the rest
	free    int
	waiting list.List // of chan struct{}, each closed when a place is given to it
}

// New returns a queue with n places.
func New(n int) *Queue { return &Queue{free: n} }

// Enter waits until a place is free and everybody who came before has had one, or
// until the context ends; then the error is its cause. leave gives the place back;
// calling it again does nothing.
func (q *Queue) Enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return sync.OnceFunc(q.leave), nil
	}
	turn := make(chan struct{})
	at := q.waiting.PushBack(turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return sync.OnceFunc(q.leave), nil
	case <-ctx.Done():
		q.withdraw(at, turn)
		return nil, context.Cause(ctx)
	}
}

// TryEnter takes a place if one is free now, and doesn't wait.
func (q *Queue) TryEnter() (leave func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free == 0 {
		return nil, false
	}
	q.free--
	return sync.OnceFunc(q.leave), true
}

// leave gives a place to the caller that came first.
func (q *Queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.waiting.Front()
	if first == nil {
		q.free++
		return
	}
	close(q.waiting.Remove(first).(chan struct{}))
}

// withdraw takes somebody out of the queue who doesn't wait any longer. A place
// that was given to them at the same moment goes to the next.
func (q *Queue) withdraw(at *list.Element, turn <-chan struct{}) {
	q.mu.Lock()
	select {
	case <-turn:
		q.mu.Unlock()
		q.leave()
	default:
		q.waiting.Remove(at)
		q.mu.Unlock()
	}
}
