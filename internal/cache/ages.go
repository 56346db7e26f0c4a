package cache

import "sync/atomic"

// ages has the slots in the order in which they were used last, as far as eviction
// needs it. A number of new slots makes a generation, and a hit writes down in which
// one it was. The slots of a generation stand in a row. A hit doesn't move its slot
// to another row, because that would take a lock: eviction does when it comes to it.
type ages[T any] struct {
	now atomic.Uint32 // the generation

	span int // new slots that make a generation
	made int // of the present one

	// rows are those of the last generations, each in the place of its number modulo
	// theirs. The slots of earlier generations stand in the oldest one.
	rows [generations]row[T]
}

// generations are told apart. So the order is right to within that part of the slots
// that there is room for.
const generations = 32

// row has the slots of a generation, in the order in which they came to it.
type row[T any] struct{ oldest, newest *Slot[T] }

// add puts a new slot behind all others.
func (a *ages[T]) add(s *Slot[T]) {
	if a.made++; a.made > a.span {
		a.made = 1
		a.advance()
	}
	s.used.Store(a.now.Load())
	a.append(s, a.now.Load())
}

// advance begins a generation. Its row is that of the oldest one until now, which
// is joined to the next.
func (a *ages[T]) advance() {
	now := a.now.Load() + 1
	reused, next := &a.rows[now%generations], &a.rows[(now+1)%generations]
	if reused.newest != nil {
		reused.newest.newer = next.oldest
		if next.oldest != nil {
			next.oldest.older = reused.newest
		} else {
			next.newest = reused.newest
		}
		next.oldest = reused.oldest
		*reused = row[T]{}
	}
	a.now.Store(now)
}

// row is the one in which the slots of a generation stand.
func (a *ages[T]) row(generation uint32) *row[T] {
	if now := a.now.Load(); now-generation >= generations { // also where the numbers began anew
		generation = now - (generations - 1)
	}
	return &a.rows[generation%generations]
}

// append puts a slot at the end of its generation's row.
func (a *ages[T]) append(s *Slot[T], generation uint32) {
	l := a.row(generation)
	s.generation, s.older, s.newer = generation, l.newest, nil
	if l.newest == nil {
		l.oldest = s
	} else {
		l.newest.newer = s
	}
	l.newest = s
}

// remove takes a slot out of its row.
func (a *ages[T]) remove(s *Slot[T]) {
	l := a.row(s.generation)
	if s.older == nil {
		l.oldest = s.newer
	} else {
		s.older.newer = s.newer
	}
	if s.newer == nil {
		l.newest = s.older
	} else {
		s.newer.older = s.older
	}
	s.older, s.newer = nil, nil
}

// first is the slot that was used least recently as far as the rows know, or nil.
func (a *ages[T]) first() *Slot[T] {
	now := a.now.Load()
	for i := range uint32(generations) {
		if s := a.rows[(now+1+i)%generations].oldest; s != nil {
			return s
		}
	}
	return nil
}

// wasUsed reports whether s was used since it came to its row, and moves it to the
// one where it belongs.
func (a *ages[T]) wasUsed(s *Slot[T]) bool {
	used := s.used.Load()
	if a.row(used) == a.row(s.generation) {
		return false
	}
	a.remove(s)
	a.append(s, used)
	return true
}

// renew puts a slot behind all others that is not to be looked at again for a while.
func (a *ages[T]) renew(s *Slot[T]) {
	a.remove(s)
	a.append(s, a.now.Load())
}
