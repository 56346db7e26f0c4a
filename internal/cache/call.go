package cache

import (
	"context"
	"time"
)

// Want is what is wanted beside the key. The zero value is any valid token.
type Want[T, G any] struct {
	Grant       G
	Claims      string        // that the token must be asked for with
	Fresh       bool          // not from the cache
	Once        bool          // not from the cache and not for it: the grant can be redeemed once
	MinValidity time.Duration // how long the token must still be handed out

	// InsteadOf is a token that a resource refused: any other will do. No more
	// than one flight a minute is started for such a reason, so that a resource
	// which always refuses can't have the endpoint asked in a loop.
	InsteadOf *T

	CorrelationID string // of the flight's requests, if this is who starts it; "": the owner makes one

	behind bool // it is a renewal behind the callers: nobody waits
}

// Cacheable reports whether a token from the cache will do.
func (w *Want[T, G]) Cacheable() bool {
	return w.Claims == "" && !w.Fresh && w.InsteadOf == nil && !w.Once
}

// Call is a flight as its owner sees it.
type Call[T, G any] struct {
	Key    Key
	Want   Want[T, G]
	Before *T // the slot's token when the flight began, or nil

	slot   *Slot[T]
	flight *flight[T]
	turn   func() (context.Context, func(), error)

	throttled func(time.Duration)

	began    time.Time
	whole    context.Context    // ends with the cache
	release  context.CancelFunc // of the context that has a deadline
	deadline time.Time          // zero before the first turn
}

// Fetched is what a fetch came to.
type Fetched[T any] struct {
	Token  *T
	Err    error
	Shared bool // other processes have the token too

	// After does what is left to do when the waiters have their token. kept is false
	// if the flight was given up and its token is dropped. It may be nil.
	After func(kept bool)
}

// Turn waits for the flight's turn to be exchanged for a token, first come first
// served. The context that it returns ends when the flight has had its time, which
// begins with its first turn and stands still while it waits for another; the one
// before is of no use from then on. leave gives the place to the next flight, which
// also happens when the context ends.
func (c *Call[T, G]) Turn() (ctx context.Context, leave func(), err error) { return c.turn() }

// Trouble tells callers who give up waiting what went wrong with an attempt that is
// being repeated.
func (c *Call[T, G]) Trouble(what string) { c.flight.trouble.Store(&what) }

// Throttled says that the endpoint wants no request for the key's tenant for a while. No
// renewal behind the callers starts meanwhile, but where a token would end.
func (c *Call[T, G]) Throttled(pause time.Duration) { c.throttled(pause) }

// Abandoned reports whether the flight was given up: nothing that it does has an
// effect on callers any more.
func (c *Call[T, G]) Abandoned() bool {
	c.slot.mu.Lock()
	defer c.slot.mu.Unlock()
	return c.flight.abandoned
}
