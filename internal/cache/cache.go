// Package cache keeps a token for each thing that can be asked for. A token that
// is there is handed out without a lock; one that isn't is fetched once for
// everybody who waits. It is renewed behind the callers, and a refusal is
// remembered for as long as the owner says.
//
//	table.go    where a key's slot is found, and which slots leave
//	acquire.go  what a caller gets: a token, a flight to wait for, or a refusal
//	flight.go   one fetch, from its start to its landing
//	renewal.go  hits, and the renewal that a hit starts
//	refusal.go  what is remembered of failures
package cache

import (
	"context"
	"errors"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/workers"
)

// What callers get besides what Fetch returns.
var (
	ErrClosed     = errors.New("the client is closed")
	ErrShortLived = errors.New("the token endpoint grants shorter tokens than asked for")
)

// Cache is a cache of tokens T that are fetched with grants G. Make one with [New].
type Cache[T, G any] struct {
	Config[T, G]
	table *table[T]
}

// Config is what a cache wants of its owner. Functions that may be nil say so.
type Config[T, G any] struct {
	Limit      int // of slots; the least recently used leave
	Clock      *clock.Clock
	Work       *workers.Group // in which flights run
	Foreground bool           // renewals wait for their fetch

	Fetch  func(context.Context, *Call[T, G]) Fetched[T]
	Life   func(*T) *clock.Span
	Ends   func(*T) time.Time // for errors
	Usable func(*T) bool      // beyond its time; nil: always

	Judge     func(error, *Key) Verdict
	Again     func(err error, left time.Duration) error // as a remembered one is returned
	Condition func() string                             // that a verdict may depend on

	OnHit           func(*Key, *T) // may be nil
	OnMiss          func(*Key)
	OnRenewalFailed func(k *Key, before *T, err error, pause time.Duration)
}

// Want is what is wanted beside the key. The zero value is any valid token.
type Want[T, G any] struct {
	Grant       G
	Claims      string        // that the token must be asked for with
	Fresh, Once bool          // past the cache; with a grant that can be redeemed once
	Further     time.Duration // how long the token must still be handed out

	// InsteadOf is a token that a resource refused: any other will do, and no more
	// than one flight a minute is started for such a reason, so that a resource
	// which always refuses can't have the endpoint asked in a loop.
	InsteadOf *T

	behind bool // a renewal behind the callers
}

// Cacheable reports whether a token from the cache will do.
func (w *Want[T, G]) Cacheable() bool {
	return w.Claims == "" && !w.Fresh && w.InsteadOf == nil && !w.Once
}

// New makes a cache.
func New[T, G any](cfg Config[T, G]) *Cache[T, G] {
	return &Cache[T, G]{Config: cfg, table: newTable(cfg.Limit, cfg.Life)}
}

// Get returns a token that is there and may be handed out for a further while, or
// nil. It takes no lock and allocates nothing.
func (c *Cache[T, G]) Get(tenant, user string, scopes []string, grant G, further time.Duration) *T {
	s := c.table.find(tenant, user, scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, grant, further)
}

// Find returns the slot of a key that is short enough to be found without a lock,
// or nil. Who keeps it gets its token by [Cache.At].
func (c *Cache[T, G]) Find(k Key) *Slot[T] { return c.table.find(k.Tenant, k.User, k.Scopes) }

// At is Get for a slot that was found before; nil also when it was evicted.
func (c *Cache[T, G]) At(s *Slot[T], grant G) *T {
	if s.dead.Load() {
		return nil
	}
	return c.hit(s, grant)
}

// Valid reports whether a token is handed out now and for a further while.
func (c *Cache[T, G]) Valid(t *T, further time.Duration) bool {
	return t != nil && further < c.Life(t).End-c.age(t) && c.usable(t)
}

func (c *Cache[T, G]) usable(t *T) bool { return c.Usable == nil || c.Usable(t) }

// age is the clock reading that counts for a token, or that of now for none.
func (c *Cache[T, G]) age(t *T) time.Duration {
	if t == nil {
		return c.Clock.Mono()
	}
	return c.Clock.Age(c.Life(t))
}

// Clear forgets everything.
func (c *Cache[T, G]) Clear() { c.table.clear() }

// Len counts the slots that can be found, for tests.
func (c *Cache[T, G]) Len() int { return c.table.len() }
