package cache

import "math/bits"

// grid is a number of groups, of which a hash picks one. It grows by one group at a
// time (linear hashing), so that growing costs every new slot the same little: the
// slots of one group are shared out between it and the new one. A grid is never
// changed but for what is in its groups; growing makes the next one.
type grid[T any] struct {
	n        int // groups in use
	mask     uint32
	segments [][]group[T]
}

const (
	firstGroups   = 2
	segmentGroups = 512 // 32 kB, which the allocator clears in a microsecond or two

	// perGroup is how many slots a group has on average: few enough that most have
	// no other behind them.
	perGroup = 3.5
)

func newGrid[T any]() *grid[T] {
	return (&grid[T]{segments: [][]group[T]{make([]group[T], firstGroups)}}).with(firstGroups)
}

// with is a grid of the same segments, of which n groups are in use.
func (g *grid[T]) with(n int) *grid[T] {
	return &grid[T]{n: n, mask: 1<<bits.Len(uint(n-1)) - 1, segments: g.segments}
}

// index is the group of a hash. The groups that aren't there yet leave their slots
// to those from which they will get them.
func (g *grid[T]) index(hash uint32) int {
	i := int(hash & g.mask)
	if i >= g.n {
		i = int(hash & (g.mask >> 1))
	}
	return i
}

func (g *grid[T]) at(i int) *group[T] {
	segment := g.segments[i/segmentGroups]
	return &segment[i&(len(segment)-1)] // its length is a power of two
}

// of is the group of a hash.
func (g *grid[T]) of(hash uint32) *group[T] { return g.at(g.index(hash)) }

// isCrowded reports whether one more slot wants one more group.
func (g *grid[T]) isCrowded(slots int) bool { return float64(slots) >= perGroup*float64(g.n) }

// grown is the next grid, in which the new group has its slots already. The caller
// publishes it and then calls tidyAfter.
func (g *grid[T]) grown() *grid[T] {
	next := g.extended().with(g.n + 1)
	added := next.at(g.n)
	next.source(g.n).all(func(s *Slot[T]) {
		if next.index(s.hash) == g.n {
			added.put(s)
		}
	})
	return next
}

// tidyAfter takes out what the newest group has got.
func (g *grid[T]) tidyAfter() {
	newest := g.n - 1
	g.source(newest).removeWhere(func(s *Slot[T]) bool { return g.index(s.hash) == newest })
}

// source is the group whose slots the group i shares.
func (g *grid[T]) source(i int) *group[T] { return g.at(i - 1<<(bits.Len(uint(i))-1)) }

// extended is g with segments for one more group. The first segment starts small,
// because most clients have few tokens, and is copied when it grows.
func (g *grid[T]) extended() *grid[T] {
	first := g.segments[0]
	switch {
	case g.n < len(first) || len(g.segments) > 1 && g.n%segmentGroups != 0:
		return g
	case len(first) < segmentGroups:
		bigger := make([]group[T], 2*len(first))
		for i := range first {
			bigger[i].tags.Store(first[i].tags.Load())
			bigger[i].more.Store(first[i].more.Load())
			for place := range first[i].slots {
				bigger[i].slots[place].Store(first[i].slots[place].Load())
			}
		}
		return &grid[T]{n: g.n, segments: [][]group[T]{bigger}}
	}
	// Those who read g don't look behind the end of its segments.
	return &grid[T]{n: g.n, segments: append(g.segments, make([]group[T], segmentGroups))}
}
