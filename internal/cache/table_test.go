package cache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/clock"
)

func newTestTable(limit int) *table[token] {
	return newTable(limits[token]{slots: limit, life: func(t *token) *clock.Span { return &t.life }})
}

func keyOf(scopes ...string) Key { return Key{Scopes: scopes} }

func ptr[T any](v T) *T { return &v }

// at is the slot of a scope, which is made if there is none.
func at(c *table[token], scope string, now time.Duration) *Slot[token] {
	return c.slot(ptr(keyOf(scope)), now)
}

// has returns the slot of a scope, or nil.
func has(c *table[token], scope string) *Slot[token] { return c.find(ptr(keyOf(scope))) }

func scopeIn(s *Slot[token]) string { return s.key().Scopes[0] }

func tokenUntil(end time.Duration) *token { return &token{life: clock.Span{End: end}} }

// fill makes slots with tokens.
func fill(c *table[token], from, to int, now, end time.Duration) {
	for i := from; i < to; i++ {
		at(c, fmt.Sprint("scope-", i), now).token.Store(tokenUntil(end))
	}
}

// Hashes only index: whose hash is the same is told apart by the key.
func TestCollidingHashes(t *testing.T) {
	c := newTestTable(1000)
	const hash = 12345
	keys := []Key{keyOf("a"), {Tenant: "t", Scopes: []string{"b", "c"}}}
	for i := range 3 * groupPlaces {
		keys = append(keys, Key{User: fmt.Sprint(i)})
	}
	slots := make([]*Slot[token], len(keys))
	for i := range keys {
		slots[i] = newSlot[token](hash, &keys[i])
		slots[i].token.Store(tokenUntil(time.Hour))
		c.grid.Load().of(hash).put(slots[i])
		c.ages.add(slots[i])
		c.count++
	}
	check := func(from int) {
		t.Helper()
		group := c.grid.Load().of(hash)
		for i := range keys {
			if i < from {
				assert.Nil(t, group.find(hash, &keys[i]), i)
			} else {
				assert.Same(t, slots[i], group.find(hash, &keys[i]), i)
			}
		}
		assert.Nil(t, group.find(hash, ptr(keyOf("b", "c"))))
		assert.Nil(t, group.find(hash, &Key{Tenant: "t", Scopes: []string{"a"}}))
		assert.Equal(t, len(keys)-from, c.len())
		assert.Equal(t, c.len(), c.count)
	}
	check(0)
	for range 100 {
		next := c.grid.Load().grown()
		c.grid.Store(next)
		check2 := c.grid.Load().of(hash)
		assert.Same(t, slots[0], check2.find(hash, &keys[0]), "before the old group is tidied")
		next.tidyAfter()
		check(0)
	}
	for i := range keys {
		require.True(t, c.remove(slots[i], never))
		assert.True(t, slots[i].dead.Load())
		check(i + 1)
		if left := len(keys) - i - 1; left >= groupPlaces {
			assert.Negative(t, c.grid.Load().of(hash).room(), "others don't move to a free place in front")
		}
	}
	assert.Nil(t, c.grid.Load().of(hash).more.Load(), "empty groups are kept")
}

// A slot fills size classes of the allocator, and what a hit reads is in the first
// cache line.
func TestSlotFillsCacheLines(t *testing.T) {
	var s Slot[token]
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("requires pointers of 64 bits")
	}
	assert.EqualValues(t, 160, unsafe.Sizeof(slot1[token]{}))
	assert.EqualValues(t, 192, unsafe.Sizeof(slot2[token]{}))
	assert.EqualValues(t, 256, unsafe.Sizeof(slot3[token]{}))
	assert.EqualValues(t, 384, unsafe.Sizeof(slot4[token]{}))
	assert.EqualValues(t, 512, unsafe.Sizeof(slot5[token]{}))
	assert.LessOrEqual(t, unsafe.Offsetof(s.kept), uintptr(64))
	assert.EqualValues(t, 64, unsafe.Sizeof(group[token]{}))
}

// Keys are found whether their text fits into their slot or not, and a slot keeps
// nothing of the caller's memory.
func TestKeysOfAllLengths(t *testing.T) {
	c := newTestTable(1000)
	for n := 1; n <= text5+10; n++ {
		scope := []byte(strings.Repeat("s", n-1) + "/")
		k := keyOf(unsafe.String(&scope[0], n))
		s := c.slot(&k, 0)
		assert.Same(t, s, has(c, strings.Clone(k.Scopes[0])), n)
		assert.Nil(t, has(c, strings.Repeat("s", n)), n)
		want := string(scope)
		scope[0] = '?'
		assert.Equal(t, want, scopeIn(s))
	}
}

func TestTableFindsWhatItHas(t *testing.T) {
	c := newTestTable(100_000)
	const n = 20_000
	fill(c, 0, n, 0, time.Hour)
	assert.Equal(t, n, c.count)
	assert.Equal(t, n, c.len())
	for i := range n {
		scope := fmt.Sprint("scope-", i)
		s := has(c, scope)
		require.NotNil(t, s)
		require.Equal(t, scope, scopeIn(s))
		require.Same(t, s, at(c, scope, 0))
	}
	assert.Nil(t, has(c, "another"))
	assert.Nil(t, c.find(&Key{Tenant: "t", Scopes: []string{"scope-1"}}))
	assert.Equal(t, n, c.count)
	longest := 0
	g := c.grid.Load()
	for i := range g.n {
		length := 0
		for at := g.at(i); at != nil; at = at.more.Load() {
			length++
		}
		longest = max(longest, length)
	}
	assert.Less(t, longest, 10, "lookup isn't O(1)") // 4 once in a hundred times, as the hashes happen to fall
	assert.InDelta(t, n/perGroup, g.n, 1)
}

// Growing takes the same little for each new slot, however many there are.
func TestTheTableGrowsByAGroupAtATime(t *testing.T) {
	c := newTestTable(100_000)
	for i := range 5_000 {
		before := c.grid.Load()
		fill(c, i, i+1, 0, time.Hour)
		after := c.grid.Load()
		require.LessOrEqual(t, after.n-before.n, 1)
		require.LessOrEqual(t, len(after.segments)-len(before.segments), 1)
		require.LessOrEqual(t, len(after.segments[len(after.segments)-1]), segmentGroups)
	}
}

func TestEviction(t *testing.T) {
	const limit = 64
	t.Run("the limit holds", func(t *testing.T) {
		c := newTestTable(limit)
		for i := range 100 * limit {
			fill(c, i, i+1, 0, time.Hour)
			require.LessOrEqual(t, c.len(), limit)
			require.Equal(t, c.len(), c.count)
		}
	})
	t.Run("the expired go first", func(t *testing.T) {
		c := newTestTable(limit)
		fill(c, 0, limit/2, 0, time.Hour)
		fill(c, limit/2, limit, 0, time.Minute)
		fill(c, limit, limit+limit/2, 2*time.Minute, time.Hour)
		alive := 0
		for i := range limit / 2 {
			if has(c, fmt.Sprint("scope-", i)) != nil {
				alive++
			}
		}
		assert.GreaterOrEqual(t, alive, limit/2*3/4, "valid tokens left for expired ones")
	})
	t.Run("the busy stay", func(t *testing.T) {
		c := newTestTable(limit)
		var busy []*Slot[token]
		for i := range limit {
			s := at(c, fmt.Sprint("busy-", i), 0)
			s.mu.Lock()
			s.record().flight = new(flight[token])
			s.mu.Unlock()
			busy = append(busy, s)
		}
		fill(c, 0, 10, time.Hour, 2*time.Hour)
		for _, s := range busy {
			require.False(t, s.dead.Load(), "a slot was evicted during its flight")
		}
		for _, s := range busy {
			s.mu.Lock()
			s.state = nil
			s.mu.Unlock()
		}
		fill(c, 10, 10+4*limit, 2*time.Hour, 3*time.Hour)
		assert.LessOrEqual(t, c.len(), limit)
	})
	t.Run("the warm stay", func(t *testing.T) {
		c := newTestTable(limit)
		s := at(c, "warm", 0)
		require.True(t, s.keepWarm())
		fill(c, 0, 10*limit, time.Hour, 2*time.Hour)
		assert.Same(t, s, has(c, "warm"))
		assert.LessOrEqual(t, c.len(), limit)
	})
	t.Run("a refusal is remembered", func(t *testing.T) {
		c := newTestTable(10 * limit)
		s := at(c, "throttled", 0)
		s.record().refused = &refusal{until: time.Hour}
		fill(c, 0, limit, 30*time.Minute, 40*time.Minute)
		fill(c, limit, 4*limit, 50*time.Minute, 2*time.Hour)
		assert.False(t, s.dead.Load())
		fill(c, 4*limit, 8*limit, 2*time.Hour, 3*time.Hour)
		assert.True(t, s.dead.Load(), "but not for ever")
	})
}

// What is used least recently leaves, to within a small part of the limit, also in a
// burst that takes no time.
func TestTheLeastRecentlyUsedLeave(t *testing.T) {
	for _, limit := range []int{8, 64, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			slack := limit / generations
			count := func(c *table[token], from, to int) (n int) {
				for i := from; i < to; i++ {
					if has(c, fmt.Sprint("scope-", i)) != nil {
						n++
					}
				}
				return n
			}
			t.Run("a burst keeps the newest", func(t *testing.T) {
				c := newTestTable(limit)
				fill(c, 0, 5*limit, 0, time.Hour)
				assert.Equal(t, limit, count(c, 4*limit, 5*limit))
			})
			t.Run("the first half is used", func(t *testing.T) {
				c := newTestTable(limit)
				fill(c, 0, limit, 0, time.Hour)
				for i := range limit / 2 {
					c.touch(has(c, fmt.Sprint("scope-", i)))
				}
				fill(c, limit, limit+limit/2, 0, time.Hour)
				assert.GreaterOrEqual(t, count(c, 0, limit/2), limit/2-slack, "of those that were used")
				assert.LessOrEqual(t, count(c, limit/2, limit), slack, "of those that were not")
				assert.Equal(t, limit/2, count(c, limit, limit+limit/2), "of the new ones")
			})
			t.Run("the order of use counts, and not that of their making", func(t *testing.T) {
				c := newTestTable(limit)
				fill(c, 0, limit/2, 0, time.Hour)
				for i := limit/2 - 1; i >= 0; i-- { // the last made is used first
					c.touch(has(c, fmt.Sprint("scope-", i)))
					fill(c, limit+2*i, limit+2*i+1, 0, time.Hour)
				}
				fill(c, 10*limit, 10*limit+limit/4, 0, time.Hour)
				assert.GreaterOrEqual(t, count(c, 0, limit/8), limit/8-slack, "of those that were used last")
				assert.LessOrEqual(t, count(c, limit/4+limit/8, limit/2), limit/8+slack)
			})
			t.Run("what is used stays", func(t *testing.T) {
				c := newTestTable(limit)
				hot := at(c, "hot", 0)
				hot.token.Store(tokenUntil(time.Hour))
				for i := range 5 * limit {
					c.touch(hot)
					fill(c, i, i+1, 0, time.Hour)
					require.False(t, hot.dead.Load(), "after %d", i)
				}
			})
		})
	}
}

// However many were used since eviction looked last, one new slot looks at a bounded
// number of them, and the next ones at the rest.
func TestEvictionLooksAtFewSlots(t *testing.T) {
	const limit = 8 * maxLooks
	c := newTestTable(limit)
	fill(c, 0, limit, 0, time.Hour)
	stale := func() (n int) {
		c.each(func(s *Slot[token]) {
			if s.generation != s.used.Load() {
				n++
			}
		})
		return n
	}
	for range 4 * limit / generations { // generations in which no slot is made
		c.ages.advance()
	}
	c.each(c.touch)
	require.Equal(t, limit, stale())
	fill(c, limit, limit+1, 0, time.Hour)
	assert.InDelta(t, limit-maxLooks, stale(), fullSample+1)
	assert.Equal(t, limit, c.len())
	fill(c, limit+1, limit+10, 0, time.Hour)
	assert.Zero(t, stale())
}

// A table that holds many bytes at once lets the least recently used leave, and
// counts what it holds.
func TestBytesAreBounded(t *testing.T) {
	const each, limit = 1000, 50_000
	c := newTable(limits[token]{
		slots: 1000, bytes: limit, size: func(t *token) int { return t.n },
		life: func(t *token) *clock.Span { return &t.life },
	})
	put := func(i, size int) *Slot[token] {
		s := at(c, fmt.Sprint("scope-", i), 0)
		s.token.Store(&token{n: size, life: clock.Span{End: time.Hour}})
		c.settle(s, 0)
		return s
	}
	held := func() (sum int) {
		c.each(func(s *Slot[token]) { sum += s.token.Load().n })
		return sum
	}
	for i := range 200 {
		put(i, each)
		require.LessOrEqual(t, c.bytes, limit)
		require.Equal(t, held(), c.bytes)
	}
	assert.Equal(t, limit/each, c.len())
	put(199, 10*each) // a renewal brings a larger one
	assert.Equal(t, held(), c.bytes)
	assert.Equal(t, limit/each-9, c.len())
	s := put(1000, 2*limit)
	assert.Equal(t, 1, c.len(), "a token that is larger than all may be is alone")
	assert.False(t, s.dead.Load())
	put(1001, each)
	assert.Equal(t, 1, c.len())
	assert.Equal(t, each, c.bytes)
	require.True(t, c.remove(has(c, "scope-1001"), never))
	assert.Zero(t, c.bytes)
	dead := put(1, each)
	c.clear()
	dead.token.Store(&token{n: 2 * each})
	c.settle(dead, 0)
	assert.Zero(t, c.bytes, "what was evicted during its flight doesn't count")
}

// A dead slot is never found again, and a caller who asks gets another.
func TestDeadSlots(t *testing.T) {
	c := newTestTable(10)
	s := at(c, "a", 0)
	c.remove(s, never)
	require.True(t, s.dead.Load())
	assert.False(t, s.keepWarm())
	assert.Nil(t, has(c, "a"))
	again := at(c, "a", 0)
	assert.NotSame(t, s, again)
	assert.False(t, again.dead.Load())
	c.clear()
	assert.True(t, again.dead.Load())
	assert.Zero(t, c.len())
}

// Readers, writers, growth and eviction at once. A reader may miss a slot while
// it moves, but must never get another's.
func TestTableUnderTheRaceDetector(t *testing.T) {
	c := newTestTable(500)
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	pinned := at(c, "pinned", 0)
	pinned.token.Store(tokenUntil(never))
	require.True(t, pinned.keepWarm())
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				scope := fmt.Sprint("scope-", rand.IntN(2000))
				if s := has(c, scope); s != nil {
					if got := scopeIn(s); got != scope {
						t.Errorf("asked for %s, got %s", scope, got)
					}
					c.touch(s)
				}
				if has(c, "pinned") == nil { // it was being moved, which is over when the lock is free
					c.mu.Lock()
					if has(c, "pinned") == nil {
						t.Error("hits are lost for long")
					}
					c.mu.Unlock()
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 5_000 {
				now := time.Duration(i) * time.Second
				s := at(c, fmt.Sprint("scope-", rand.IntN(2000)), now)
				s.token.Store(tokenUntil(now + time.Duration(rand.IntN(100))*time.Second))
				if i%10 == 0 && w == 0 { // more groups than a cache of this size sees
					c.mu.Lock()
					next := c.grid.Load().grown()
					c.grid.Store(next)
					next.tidyAfter()
					c.mu.Unlock()
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	assert.LessOrEqual(t, c.len(), 510)
	assert.Equal(t, c.len(), c.count)
	assert.Same(t, pinned, has(c, "pinned"))
}

func TestExpired(t *testing.T) {
	c := newTestTable(10)
	s := at(c, "a", time.Hour)
	assert.False(t, c.expired(s, time.Hour), "its token may be on the way")
	assert.True(t, c.expired(s, time.Hour+lingers))
	s.token.Store(tokenUntil(2 * time.Hour))
	assert.False(t, c.expired(s, 2*time.Hour-1))
	assert.True(t, c.expired(s, 2*time.Hour))
}

// The numbers of generations may begin anew, and a slot may be older than all lists.
func TestAgesOfVeryOldSlots(t *testing.T) {
	a := ages[token]{span: 1}
	a.now.Store(^uint32(0) - 5)
	var slots []*Slot[token]
	for i := range 3 * generations {
		s := newSlot[token](0, ptr(keyOf(fmt.Sprint(i))))
		slots = append(slots, s)
		a.add(s)
	}
	for i, s := range slots {
		require.Same(t, s, a.first(), i)
		require.False(t, a.wasUsed(s), i)
		a.remove(s)
	}
	assert.Nil(t, a.first())
}
