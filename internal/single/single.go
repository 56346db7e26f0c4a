// Package single runs a function that may hang. It runs in a goroutine of its own,
// at most one at a time, and a caller that waits for it can give up: the function goes on
// alone, and until it has returned no other is started. It knows nothing of what
// the function does.
package single

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/panics"
)

// ErrNoAnswer is what a waiter gets that gave up.
var ErrNoAnswer = errors.New("no answer in time")

// errEnded is the result of a function that ended its goroutine.
var errEnded = errors.New("it ended its goroutine without an answer")

// Caller makes calls, one at a time. Its zero value is ready to use.
type Caller[T any] struct {
	mu      sync.Mutex // held for the assignment only
	current *Call[T]   // under way; nil: none
}

// Call is a function that is under way or has returned.
type Call[T any] struct {
	began time.Time
	done  chan struct{}
	value T
	err   error
}

// Start calls f in a new goroutine, unless a call is under way. It returns the call
// that is under way now, and whether that is the one of f. A panic of f becomes the
// error of the call.
func (c *Caller[T]) Start(f func() (T, error)) (call *Call[T], mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		return c.current, false
	}
	call = &Call[T]{began: time.Now(), done: make(chan struct{}), err: errEnded}
	c.current = call
	go c.run(call, f)
	return call, true
}

func (c *Caller[T]) run(call *Call[T], f func() (T, error)) {
	defer func() {
		if p := recover(); p != nil {
			call.err = panics.Error("what was called", p)
		}
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
		close(call.done)
	}()
	call.value, call.err = f()
}

// Do waits for what is under way, then calls f and waits for that. Each of the two
// is given the time limit, counted from its own start. The error is that of f, the
// cause of the context's end, or one that wraps [ErrNoAnswer].
func (c *Caller[T]) Do(ctx context.Context, limit time.Duration, f func() (T, error)) (T, error) {
	for {
		call, mine := c.Start(f)
		if mine {
			return call.Wait(ctx, limit)
		}
		if !call.ended(ctx, limit) {
			var none T
			return none, call.gaveUp(ctx)
		}
	}
}

// Wait returns the result of the call. It gives up when the call has taken the time
// limit, counted from the call's start, or when the context ends.
func (c *Call[T]) Wait(ctx context.Context, limit time.Duration) (T, error) {
	if c.ended(ctx, limit) {
		return c.value, c.err
	}
	var none T
	return none, c.gaveUp(ctx)
}

// ended waits, and reports whether the call has returned.
func (c *Call[T]) ended(ctx context.Context, limit time.Duration) bool {
	if c.Ended() {
		return true
	}
	left := limit - c.Age()
	if left <= 0 {
		return false
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (c *Call[T]) gaveUp(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: under way for %v", ErrNoAnswer, c.Age().Round(time.Second))
}

// Ended reports whether the call has returned.
func (c *Call[T]) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Age is how long ago the call began.
func (c *Call[T]) Age() time.Duration { return time.Since(c.began) }

// Age is how long ago the call began that is under way, or 0 if there is none.
func (c *Caller[T]) Age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return 0
	}
	return c.current.Age()
}
