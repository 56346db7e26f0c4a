package cache

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Slot holds the token for one key, and its one flight. What a hit reads fills its
// first cache line of 64 bytes. The text of the key follows the slot in the same
// piece of memory, so that to compare it a hit reads the next line or two, whichever
// part of the key tells it from others: see newSlot.
type Slot[T any] struct {
	hash  uint32
	used  atomic.Uint32     // the generation in which it was used last, for eviction
	token atomic.Pointer[T] // nil: none yet

	// renew is the clock reading from which a hit starts a renewal. Without a token,
	// the slot is of no use from then on.
	renew atomic.Int64

	// ahead is that of the token's span. With it and renew, a hit needs to read
	// nothing of the token until its renewal is due.
	ahead atomic.Int64

	length uint32      // of the text of the key
	dead   atomic.Bool // evicted: a caller who holds the slot looks for the new one
	long   *byte       // a text that is too long to follow the slot; see keyText
	kept   *Key        // the key, where the owner is told of hits; nil: see key

	mu    sync.Mutex // guards state, and dead against a flight that starts; never held over I/O
	state *state[T]  // nil: the slot has none; see record

	// The table's mutex guards these.
	older, newer *Slot[T] // in its generation; nil: the first, the last
	generation   uint32   // among whose slots it stands
	weight       uint32   // bytes that the token counts for
}

// Sizes of the texts that lie behind a slot. With them a slot fills a size class of
// the allocator, which but for the first begins at a cache line.
const (
	text1 = 64 // a scope
	text2 = 96 // a tenant or a user, and a scope
	text3 = 160
	text4 = 288
	text5 = 416
)

type (
	slot1[T any] struct {
		Slot[T]
		room [text1]byte
	}
	slot2[T any] struct {
		Slot[T]
		room [text2]byte
	}
	slot3[T any] struct {
		Slot[T]
		room [text3]byte
	}
	slot4[T any] struct {
		Slot[T]
		room [text4]byte
	}
	slot5[T any] struct {
		Slot[T]
		room [text5]byte
	}
)

// newSlot makes a slot that keeps nothing of the memory of the key: a scope that a
// caller gave may be a part of a large text.
func newSlot[T any](hash uint32, k *Key) *Slot[T] {
	var short [text5]byte
	text := k.appendText(short[:0])
	var s *Slot[T]
	var room []byte // that follows the slot
	switch n := len(text); {
	case n <= text1:
		of := new(slot1[T])
		s, room = &of.Slot, of.room[:]
	case n <= text2:
		of := new(slot2[T])
		s, room = &of.Slot, of.room[:]
	case n <= text3:
		of := new(slot3[T])
		s, room = &of.Slot, of.room[:]
	case n <= text4:
		of := new(slot4[T])
		s, room = &of.Slot, of.room[:]
	case n <= text5:
		of := new(slot5[T])
		s, room = &of.Slot, of.room[:]
	default:
		s, room = new(Slot[T]), make([]byte, n)
		s.long = &room[0]
	}
	s.hash, s.length = hash, uint32(copy(room, text))
	return s
}

// never is a clock reading that doesn't come.
const never = time.Duration(math.MaxInt64)

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
	warm      bool          // the slot is never evicted
}

// keyText is the text of the slot's key. It is never written again. Where it stands is
// known without a look into the slot, so that the processor fetches both at the same
// time: see newSlot.
func (s *Slot[T]) keyText() string {
	if s.length > text5 {
		return unsafe.String(s.long, s.length)
	}
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(s), unsafe.Sizeof(*s))), s.length)
}

// key is what the slot is for.
func (s *Slot[T]) key() Key {
	if s.kept != nil {
		return *s.kept
	}
	return keyOfText(s.keyText())
}

// tenant is that of the key.
func (s *Slot[T]) tenant() string { return tenantOfText(s.keyText()) }

// renewable reports whether t is the slot's token and nothing is under way to replace
// it. The caller holds s.mu.
func (s *Slot[T]) renewable(t *T) bool {
	return s.token.Load() == t && (s.state == nil || s.state.flight == nil) && !s.dead.Load()
}

// keepKey saves hits the making of the key.
func (s *Slot[T]) keepKey() {
	k := s.key()
	s.kept = &k
}

// touch notes that s was used in a generation of the table. A hit writes to shared
// memory only when it is the first in a generation.
func (s *Slot[T]) touch(generation uint32) {
	if s.used.Load() != generation {
		s.used.Store(generation)
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
		st.claims == "" && !st.warm
}

// keepWarm saves s from eviction. It returns false if that comes too late.
func (s *Slot[T]) keepWarm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.Load() {
		return false
	}
	s.record().warm = true
	return true
}

// retire marks s as dead, unless it is kept warm, has a flight, also one that was
// given up, or remembers a refusal that holds at the given time.
func (s *Slot[T]) retire(now time.Duration) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if st := s.state; st != nil && (st.warm || st.flight != nil || st.abandoned > 0 ||
		st.refused != nil && now < st.refused.until) {
		return false
	}
	s.dead.Store(true)
	return true
}
