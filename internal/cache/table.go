package cache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
)

// table finds the slot of a key without a lock. A reader that doesn't find one
// takes the table's mutex and looks again. So one that comes between two steps of a writer
// loses time and nothing else. No step of a writer takes longer because the table is
// large: it grows by a group at a time, and looks at a bounded number of slots to find
// those that leave.
type table[T any] struct {
	limits limits[T]
	seed   maphash.Seed
	grid   atomic.Pointer[grid[T]]
	ages   ages[T]

	mu    sync.Mutex // guards writing, and the order of the ages
	count int
	bytes int // that the tokens count for
	hand  int // the group where expired tokens are looked for next
}

// limits are what a table may hold, and what its tokens are to it.
type limits[T any] struct {
	slots    int
	bytes    int          // of tokens; 0: any number
	size     func(*T) int // of a token, for bytes
	life     func(*T) *clock.Span
	keepKeys bool // for hits, which are told with their keys
}

func newTable[T any](l limits[T]) *table[T] {
	t := &table[T]{limits: l, seed: maphash.MakeSeed()}
	t.ages.span = max(1, l.slots/generations)
	t.grid.Store(newGrid[T]())
	return t
}

// find returns the slot of a key, or nil. It takes no lock and allocates nothing;
// nil may be wrong while the table changes, and always is for a long key.
func (t *table[T]) find(k *Key) *Slot[T] {
	if k.isLong() {
		return nil
	}
	hash := k.hash(t.seed)
	for g := t.grid.Load(); ; {
		if s := g.of(hash).find(hash, k); s != nil {
			return s
		}
		last := g
		if g = t.grid.Load(); g == last {
			return nil
		}
	}
}

// touch notes that a slot is used.
func (t *table[T]) touch(s *Slot[T]) { s.touch(t.ages.now.Load()) }

// lingers is how long a slot is kept that has no token and nothing else to remember.
const lingers = 16 * time.Second

// slot returns the slot of a key, which must be canonical, and makes it if there is
// none.
func (t *table[T]) slot(k *Key, now time.Duration) *Slot[T] {
	hash := k.hash(t.seed)
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.grid.Load().of(hash).find(hash, k); s != nil {
		return s
	}
	t.makeRoom(now, 1)
	if g := t.grid.Load(); g.isCrowded(t.count) {
		next := g.grown()
		t.grid.Store(next)
		next.tidyAfter()
	}
	s := newSlot[T](hash, k)
	s.renew.Store(int64(now + lingers))
	if t.limits.keepKeys {
		s.keepKey()
	}
	t.ages.add(s)
	t.grid.Load().of(hash).put(s)
	t.count++
	return s
}

// settle weighs the token that a slot has got, and lets others leave for it and for
// what has expired.
func (t *table[T]) settle(s *Slot[T], now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if token := s.token.Load(); token != nil && t.limits.size != nil && !s.dead.Load() {
		weight := uint32(min(t.limits.size(token), 1<<30))
		t.bytes += int(weight) - int(s.weight)
		s.weight = weight
	}
	t.makeRoom(now, 0)
}

// Bounds of what one new slot or token costs those who wait for the table.
const (
	// sweepSample slots are looked at for expired tokens: enough that these leave
	// faster than new ones come. Where there is no room, some more are, so that a valid
	// token doesn't leave for an expired one.
	sweepSample = 4
	fullSample  = 16

	// sweepGroups bounds the walk through a table that has become sparse. The hand moves
	// on, so nothing is left out.
	sweepGroups = 64

	// maxEvictions brings a cache back to its limit that had to exceed it because all
	// its slots had flights, or makes room for the bytes of a token.
	maxEvictions = 256

	// maxLooks at slots in the order of their age, also at those that were used since.
	maxLooks = 1024
)

// makeRoom removes what has expired among a few slots, and what was used least
// recently as far as there is no room for so many new slots.
func (t *table[T]) makeRoom(now time.Duration, slots int) {
	sample := sweepSample
	if !t.hasRoom(slots) {
		sample = fullSample
	}
	t.sweep(now, sample)
	looks := maxLooks
	for range maxEvictions {
		if t.hasRoom(slots) || !t.evict(&looks) {
			return
		}
	}
}

// hasRoom reports whether the limits hold with so many new slots. A token that is
// larger than the limit for all is kept alone.
func (t *table[T]) hasRoom(slots int) bool {
	return t.count+slots <= t.limits.slots &&
		(t.limits.bytes == 0 || t.bytes <= t.limits.bytes || t.count+slots <= 1)
}

// sweep removes what has expired among the next few slots.
func (t *table[T]) sweep(now time.Duration, sample int) {
	g := t.grid.Load()
	for range min(g.n, sweepGroups) {
		if sample <= 0 {
			return
		}
		t.hand = (t.hand + 1) % g.n
		g.at(t.hand).all(func(s *Slot[T]) {
			sample--
			if t.expired(s, now) {
				t.remove(s, now)
			}
		})
	}
}

// evict removes the slot that was used least recently and can be spared. It returns
// false if it finds none.
func (t *table[T]) evict(looks *int) bool {
	for ; *looks > 0; *looks-- {
		s := t.ages.first()
		if s == nil {
			return false
		}
		if !t.ages.wasUsed(s) {
			if t.remove(s, never) {
				return true
			}
			t.ages.renew(s) // it is busy
		}
	}
	// So many were used since they were looked at last that the first of them has to do.
	s := t.ages.first()
	return s != nil && t.remove(s, never)
}

// expired reports whether s has no token that is still handed out. A slot without
// one is spared for a while: its token may be on the way.
func (t *table[T]) expired(s *Slot[T], now time.Duration) bool {
	if token := s.token.Load(); token != nil {
		return now >= t.limits.life(token).End
	}
	return int64(now) >= s.renew.Load()
}

// remove takes s out, and returns false if it can't be retired.
func (t *table[T]) remove(s *Slot[T], now time.Duration) bool {
	if !s.retire(now) {
		return false
	}
	t.grid.Load().of(s.hash).removeWhere(func(other *Slot[T]) bool { return other == s })
	t.ages.remove(s)
	t.count--
	t.bytes -= int(s.weight)
	s.weight = 0
	return true
}

// clear forgets everything.
func (t *table[T]) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each(func(s *Slot[T]) {
		s.dead.Store(true)
		s.token.Store(nil)
	})
	t.grid.Store(newGrid[T]())
	t.ages.rows = [generations]row[T]{}
	t.count, t.bytes, t.hand = 0, 0, 0
}

// len counts the slots that readers can find.
func (t *table[T]) len() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each(func(*Slot[T]) { n++ })
	return n
}

// each calls f for every slot.
func (t *table[T]) each(f func(*Slot[T])) {
	g := t.grid.Load()
	for i := range g.n {
		g.at(i).all(f)
	}
}
