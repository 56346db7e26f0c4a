// Package cache keeps a token for each thing that can be asked for. A token that
// is there is handed out without a lock. One that isn't there is fetched once,
// however many wait for it, and a token that nears its end is renewed behind the
// callers. The package never knows what a token is, how it is fetched or what an
// error means: that is its owner's.
//
// From the ground up:
//
//	parts.go     a text made of strings and numbers
//	key.go       what a token was asked for
//	refusal.go   what is remembered of a failure
//	flight.go    one fetch: who waits for it, and what it came to
//	slot.go      what is known of one key
//	group.go     a cache line's worth of slots, and which of them is that of a key
//	grid.go      groups, of which a key's hash picks one; their number grows
//	ages.go      the slots in the order in which they were used last
//	table.go     where a key's slot is found, and which slots leave
//	cache.go     what the cache wants of its owner
//	call.go      what is wanted, and a flight as its owner sees it
//	pace.go      renewals behind the callers, of which not all start at once
//	turn.go      a flight's time, and its turn in the queue
//	fetch.go     a flight from its start to its landing
//	hit.go       a token that is there, and the renewal that it starts
//	acquire.go   what a caller gets otherwise: a flight to wait for, or an error
//	keepwarm.go  a token that is renewed though nobody asks
package cache

import (
	"context"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/queue"
	"github.com/certtoken/certtoken/internal/workers"
)

// Owner fetches tokens of type T with grants of type G, and says how long they
// live. Its methods are called from many goroutines.
type Owner[T, G any] interface {
	// Fetch gets a token. The context ends when the flight has had its time or the
	// cache is closed.
	Fetch(ctx context.Context, call *Call[T, G]) Fetched[T]

	// Life is when a token is renewed and when it ends.
	Life(token *T) *clock.Span

	// Judge says what is to be remembered of an error of Fetch.
	Judge(err error, k *Key) Verdict

	// Condition is the present state of what a Verdict can depend on.
	Condition() string

	// Recall is a remembered error as it is returned to a later caller, when it is
	// remembered for the time that is left.
	Recall(err error, left time.Duration) error

	// Missed is told that a caller has to wait. It runs in the caller's time.
	Missed(k *Key)

	// RenewalFailed is told of a renewal behind the callers, and of the pause before
	// the next.
	RenewalFailed(k *Key, before *T, err error, pause time.Duration)

	// Abandoned is told of a flight that didn't end in its time, and Returned of its
	// end, at which its result is dropped.
	Abandoned(k *Key, err *AbandonedError)
	Returned(k *Key, part string, took time.Duration)
}

// Config is what a cache is made of.
type Config[T, G any] struct {
	Owner Owner[T, G]

	Limit       int           // of slots; the least recently used leave
	ByteLimit   int           // of what Size says of all tokens; 0: none
	Size        func(*T) int  // bytes that a token takes, for ByteLimit
	Foreground  bool          // a renewal is waited for by the caller that finds it due
	FlightLimit time.Duration // from a flight's place in the queue to its end

	Clock *clock.Clock
	Work  *workers.Group // in which flights run; closing it closes the cache
	Queue *queue.Queue   // in which flights wait for their turn
	Pace  *Pace          // of renewals behind the callers

	// Things that most owners have no use for. They are functions and not methods of
	// Owner because a hit then costs a comparison and no call.
	OnHit  func(*Key, *T)
	Usable func(*T) bool      // whether a token may be handed out, beyond its time
	Same   func(a, b *T) bool // whether two are one token, in two places of the memory
}

// Cache is a cache of tokens T that are fetched with grants G. Make one with [New].
type Cache[T, G any] struct {
	Config[T, G]
	table *table[T]
}

// New makes a cache.
func New[T, G any](cfg Config[T, G]) *Cache[T, G] {
	return &Cache[T, G]{Config: cfg, table: newTable(limits[T]{
		slots: cfg.Limit, bytes: cfg.ByteLimit, size: cfg.Size, life: cfg.Owner.Life, keepKeys: cfg.OnHit != nil,
	})}
}

// Valid reports whether a token is handed out now and for a further while.
func (c *Cache[T, G]) Valid(t *T, further time.Duration) bool {
	return t != nil && further < c.Owner.Life(t).End-c.now(t) && c.usable(t)
}

func (c *Cache[T, G]) usable(t *T) bool { return c.Usable == nil || c.Usable(t) }

func (c *Cache[T, G]) same(a, b *T) bool { return a == b || c.Same != nil && c.Same(a, b) }

// now is the clock reading that counts for a token, or without one for anything
// that starts now.
func (c *Cache[T, G]) now(t *T) time.Duration {
	if t == nil {
		return c.Clock.Mono()
	}
	return c.Clock.Age(c.Owner.Life(t))
}

// Clear forgets everything.
func (c *Cache[T, G]) Clear() { c.table.clear() }

// Len counts the slots that can be found.
func (c *Cache[T, G]) Len() int { return c.table.len() }
