package cache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
)

// table finds the slot of a key without a lock: its chains are only ever extended
// or relinked, atomically. Whoever doesn't find a slot takes the table's mutex and
// looks again, so a reader that comes between two steps of a writer loses time
// and nothing else.
type table[T any] struct {
	seed  maphash.Seed
	limit int // of slots
	life  func(*T) *clock.Span

	buckets atomic.Pointer[buckets[T]]

	mu    sync.Mutex // guards writing
	count int
	hand  int // the bucket where eviction looks next
}

// buckets are the heads of the chains.
type buckets[T any] struct {
	generation int
	chains     []atomic.Pointer[Slot[T]] // a power of two
}

func newBuckets[T any](generation, n int) *buckets[T] {
	return &buckets[T]{generation: generation, chains: make([]atomic.Pointer[Slot[T]], n)}
}

func (b *buckets[T]) chain(hash uint32) *atomic.Pointer[Slot[T]] {
	return &b.chains[int(hash)&(len(b.chains)-1)]
}

// next is the link of s that belongs to b.
func (b *buckets[T]) next(s *Slot[T]) *atomic.Pointer[Slot[T]] { return &s.next[b.generation&1] }

const minBuckets = 16

func newTable[T any](limit int, life func(*T) *clock.Span) *table[T] {
	t := &table[T]{seed: maphash.MakeSeed(), limit: limit, life: life}
	t.buckets.Store(newBuckets[T](0, minBuckets))
	return t
}

// find returns the slot of a key, or nil. It takes no lock and allocates
// nothing; nil may be wrong while the table changes, and always is for a key of
// more than maxUnsorted scopes.
func (t *table[T]) find(tenant, user string, scopes []string) *Slot[T] {
	if len(scopes) > maxUnsorted {
		return nil
	}
	return t.lookup(hashKey(t.seed, tenant, user, scopes), tenant, user, scopes)
}

func (t *table[T]) lookup(hash uint32, tenant, user string, scopes []string) *Slot[T] {
	b := t.buckets.Load()
	side := b.generation & 1
	s := b.chain(hash).Load()
	for s != nil {
		if s.hash == hash && s.matches(tenant, user, scopes) {
			return s
		}
		s = s.next[side].Load()
	}
	return nil
}

// slot returns the slot of a key, which must be canonical, and makes it if
// there is none.
func (t *table[T]) slot(k Key, now time.Duration) *Slot[T] {
	hash := hashKey(t.seed, k.Tenant, k.User, k.Scopes)
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.lookup(hash, k.Tenant, k.User, k.Scopes); s != nil {
		return s
	}
	t.makeRoom(now, 1)
	if b := t.buckets.Load(); t.count >= len(b.chains) {
		t.grow(b)
	}
	s := newSlot[T](hash, k)
	s.touch(now)
	b := t.buckets.Load()
	chain := b.chain(hash)
	b.next(s).Store(chain.Load())
	chain.Store(s)
	t.count++
	return s
}

// grow doubles the table. The slots are linked anew by the other side of next.
func (t *table[T]) grow(old *buckets[T]) {
	bigger := newBuckets[T](old.generation+1, 2*len(old.chains))
	for i := range old.chains {
		for s := old.chains[i].Load(); s != nil; s = old.next(s).Load() {
			chain := bigger.chain(s.hash)
			bigger.next(s).Store(chain.Load())
			chain.Store(s)
		}
	}
	t.buckets.Store(bigger)
}

// tidy lets a few expired tokens leave, for a client that needs no new slots.
func (t *table[T]) tidy(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.makeRoom(now, 0)
}

// makeRoom removes what has expired among a few slots, and what was used least
// recently as far as there is no room for so many new ones.
func (t *table[T]) makeRoom(now time.Duration, slots int) {
	for range maxEvictions {
		if t.sweep(now, t.limit-slots); t.count <= t.limit-slots {
			return
		}
	}
}

// How many slots one new slot looks at: enough that the least recently used of
// them is old and that expired tokens leave faster than new ones come, few
// enough that a full cache fills as fast as an empty one.
const (
	sweepSample = 4
	evictSample = 16

	// sweepBuckets bounds the walk through a table that has become sparse. The
	// hand moves on, so nothing is left out.
	sweepBuckets = 1024

	// maxEvictions for one new slot brings a cache back to its limit that had
	// to exceed it because all its slots had flights.
	maxEvictions = 4
)

// sweep removes what has expired among the next few slots, and the least recently
// used of them if there are more than the limit. A slot with a flight stays.
func (t *table[T]) sweep(now time.Duration, limit int) {
	full := t.count > limit
	sample := sweepSample
	if full {
		sample = evictSample
	}
	b := t.buckets.Load()
	var oldest *Slot[T]
	seen := 0
	for range min(len(b.chains), sweepBuckets) {
		if seen >= sample && (!full || t.count <= limit || oldest != nil) {
			break
		}
		t.hand = (t.hand + 1) & (len(b.chains) - 1)
		for s := b.chains[t.hand].Load(); s != nil; s = b.next(s).Load() {
			seen++
			switch {
			case t.expired(s, now):
				t.remove(b, s, now)
			case oldest == nil || int32(s.used.Load()-oldest.used.Load()) < 0:
				oldest = s
			}
		}
	}
	if t.count > limit && oldest != nil {
		t.remove(b, oldest, never)
	}
}

// expired reports whether s has no token that is still handed out. A slot that
// was used lately is spared: its token may be on the way.
func (t *table[T]) expired(s *Slot[T], now time.Duration) bool {
	if token := s.token.Load(); token != nil {
		return now >= t.life(token).End
	}
	return uint32(now/usedGrain)-s.used.Load() > 1
}

// remove unlinks s unless it can't be retired. Readers that stand on it go on
// through its next.
func (t *table[T]) remove(b *buckets[T], s *Slot[T], now time.Duration) {
	if !s.retire(now) {
		return
	}
	link := b.chain(s.hash)
	for at := link.Load(); at != nil; at = link.Load() {
		if at == s {
			link.Store(b.next(s).Load())
			t.count--
			return
		}
		link = b.next(at)
	}
}

// clear forgets everything.
func (t *table[T]) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buckets.Load()
	for i := range b.chains {
		for s := b.chains[i].Load(); s != nil; s = b.next(s).Load() {
			s.dead.Store(true)
			s.token.Store(nil)
		}
	}
	t.buckets.Store(newBuckets[T](b.generation+1, minBuckets))
	t.count = 0
}

// len counts the slots that readers can find.
func (t *table[T]) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buckets.Load()
	n := 0
	for i := range b.chains {
		for s := b.chains[i].Load(); s != nil; s = b.next(s).Load() {
			n++
		}
	}
	return n
}
