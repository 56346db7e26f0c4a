package cache

import (
	"math/bits"
	"sync/atomic"
)

// group is a place for some slots that fills a cache line. A lookup reads it, and
// then a slot: the tags say which one is worth it.
type group[T any] struct {
	// tags has a byte for each place, from the lowest: bits of the slot's hash, 0 if
	// the place is free.
	tags  atomic.Uint64
	slots [groupPlaces]atomic.Pointer[Slot[T]]
	more  atomic.Pointer[group[T]] // for slots that have no place here
}

const (
	groupPlaces = 6
	lowBits     = 0x0101010101010101 // of each byte
	highBits    = 0x8080808080808080
)

// tagOf is 7 bits of a hash, other ones than those that pick the group, and a bit
// that says that the place isn't free.
func tagOf(hash uint32) uint64 { return uint64(hash>>25 | 0x80) }

// candidates has a bit in each byte of tags that equals a tag. It may also have one
// in a byte that doesn't, so the slot is looked at in any case.
func candidates(tags, tag uint64) uint64 {
	x := tags ^ tag*lowBits
	return (x - lowBits) &^ x & highBits
}

// find returns the slot of a key in g or behind it, or nil.
func (g *group[T]) find(hash uint32, k *Key) *Slot[T] {
	for tag := tagOf(hash); g != nil; g = g.more.Load() {
		for found := candidates(g.tags.Load(), tag); found != 0; found &= found - 1 {
			place := bits.TrailingZeros64(found) >> 3
			if place >= groupPlaces {
				break
			}
			s := g.slots[place].Load()
			if s != nil && s.hash == hash && k.hasText(s.keyText()) {
				return s
			}
		}
	}
	return nil
}

// set puts a slot in a place. Readers may come between the two steps: then they
// don't find it, and ask under the lock.
func (g *group[T]) set(place int, s *Slot[T]) {
	g.slots[place].Store(s)
	g.tags.Store(g.tags.Load() | tagOf(s.hash)<<(8*place))
}

// free takes the slot out of a place.
func (g *group[T]) free(place int) {
	g.tags.Store(g.tags.Load() &^ (0xff << (8 * place)))
	g.slots[place].Store(nil)
}

// room is a free place in g itself, or -1.
func (g *group[T]) room() int {
	for place := range g.slots {
		if g.slots[place].Load() == nil {
			return place
		}
	}
	return -1
}

// put finds a place for a slot.
func (g *group[T]) put(s *Slot[T]) {
	for {
		if place := g.room(); place >= 0 {
			g.set(place, s)
			return
		}
		next := g.more.Load()
		if next == nil {
			next = new(group[T])
			next.set(0, s)
			g.more.Store(next)
			return
		}
		g = next
	}
}

// removeWhere takes out the slots that a function names, moves others from further
// back into g's free places, and drops groups that have become empty.
func (g *group[T]) removeWhere(leaves func(*Slot[T]) bool) (removed int) {
	for at, before := g, (*group[T])(nil); at != nil; at = at.more.Load() {
		left := 0
		for place := range at.slots {
			s := at.slots[place].Load()
			switch {
			case s == nil:
			case leaves(s):
				at.free(place)
				removed++
			case before != nil && g.room() >= 0:
				g.set(g.room(), s) // it is in both for a moment
				at.free(place)
			default:
				left++
			}
		}
		if left == 0 && before != nil {
			before.more.Store(at.more.Load()) // a reader who stands on it goes on through its more
		} else {
			before = at
		}
	}
	return removed
}

// all calls f for the slots in g and behind it.
func (g *group[T]) all(f func(*Slot[T])) {
	for ; g != nil; g = g.more.Load() {
		for place := range g.slots {
			if s := g.slots[place].Load(); s != nil {
				f(s)
			}
		}
	}
}
