package cache

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Slot holds the token for one key, and its one flight. A slot takes three cache
// lines of 64 bytes: what a hit reads comes first and fills one line, and the
// text of a short scope lies in the next, which the processor fetches beside it.
type Slot[T any] struct {
	hash uint32
	used atomic.Uint32 // coarse time of the last hit, for eviction

	// next has two links, for tables of even and of odd generation: growing
	// writes the new table's links while readers follow the old one's.
	next [2]atomic.Pointer[Slot[T]]

	only  [1]string         // the scope, if there is only one and neither tenant nor user
	token atomic.Pointer[T] // nil: none yet
	renew atomic.Int64      // clock reading from which a hit starts a renewal

	// ahead is that of the token's span. With it and renew, a hit needs to read
	// nothing of the token until its renewal is due.
	ahead atomic.Int64

	text [shortScope]byte // the text of only, if it fits
	dead atomic.Bool      // evicted: whoever holds the slot looks for the new one

	key   Key
	mu    sync.Mutex // guards state, and dead against a flight that starts; never held over I/O
	state *state[T]  // nil: the slot has none; see record
}

// shortScope is the size that fills a slot up to its three lines.
const shortScope = 52

// never is a clock reading that doesn't come.
const never = time.Duration(math.MaxInt64)

// usedGrain is the coarseness of Slot.used: with it a hit writes to shared
// memory once in a while and not each time.
const usedGrain = 16 * time.Second

// state is what a slot knows beyond its token. Most slots have none.
type state[T any] struct {
	flight    *flight[T]
	abandoned int    // flights that were given up and still run,
	hangsIn   string // and the part of the program that the last of them is in
	refused   *refusal
	failures  int           // renewals that failed since the last success
	claims    string        // that the token was asked for with
	forced    bool          // a resource's refusal has started a flight,
	forcedAt  time.Duration // and this is when
}

func newSlot[T any](hash uint32, k Key) *Slot[T] {
	s := &Slot[T]{hash: hash}
	if k.Tenant != "" || k.User != "" || len(k.Scopes) != 1 {
		s.key = k.clone()
		return s
	}
	s.only[0] = s.keep(k.Scopes[0])
	s.key.Scopes = s.only[:] // an array of its own would be memory elsewhere
	return s
}

// keep copies a scope into the slot if it is short: to compare it, a hit then
// reads no memory that lies elsewhere.
func (s *Slot[T]) keep(scope string) string {
	if scope == "" || len(scope) > len(s.text) {
		return strings.Clone(scope)
	}
	copy(s.text[:], scope)
	return unsafe.String(&s.text[0], len(scope)) // text is never written again
}

// matches reports whether the slot is that of a key. Its first comparison is
// short, for what is asked for most often.
func (s *Slot[T]) matches(tenant, user string, scopes []string) bool {
	if s.only[0] != "" && len(scopes) == 1 && tenant == "" && user == "" {
		return s.only[0] == scopes[0]
	}
	return s.key.matches(tenant, user, scopes)
}

// touch notes that s was used.
func (s *Slot[T]) touch(now time.Duration) {
	stamp := uint32(now / usedGrain)
	if s.used.Load() != stamp {
		s.used.Store(stamp)
	}
}

// record returns the slot's state, and makes one if there is none. The caller
// holds s.mu.
func (s *Slot[T]) record() *state[T] {
	if s.state == nil {
		s.state = new(state[T])
	}
	return s.state
}

// prune drops a state that holds nothing. The caller holds s.mu.
func (s *Slot[T]) prune() {
	if st := s.state; st != nil && st.isEmpty() {
		s.state = nil
	}
}

func (st *state[T]) isEmpty() bool {
	return st.flight == nil && st.abandoned == 0 && st.refused == nil && st.failures == 0 && !st.forced &&
		st.claims == ""
}

// retire marks s as dead, unless it has a flight, also one that was given up, or
// remembers a refusal that holds at the given time.
func (s *Slot[T]) retire(now time.Duration) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if st := s.state; st != nil &&
		(st.flight != nil || st.abandoned > 0 || st.refused != nil && now < st.refused.until) {
		return false
	}
	s.dead.Store(true)
	return true
}
