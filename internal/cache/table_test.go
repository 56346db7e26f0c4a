package cache

import (
	"fmt"
	"hash/maphash"
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

func newCache(limit int) *table[token] {
	return newTable(limit, func(t *token) *clock.Span { return &t.life })
}

func keyOf(scopes ...string) Key { return Key{Scopes: scopes} }

func tokenUntil(end time.Duration) *token { return &token{life: clock.Span{End: end}} }

// fill makes slots with tokens.
func fill(c *table[token], from, to int, now, end time.Duration) {
	for i := from; i < to; i++ {
		c.slot(keyOf(fmt.Sprint("scope-", i)), now).token.Store(tokenUntil(end))
	}
}

func TestHashKey(t *testing.T) {
	seed := maphash.MakeSeed()
	same := hashKey(seed, "t", "", []string{"a", "b", "c"})
	for _, scopes := range [][]string{{"c", "b", "a"}, {"b", "a", "c"}} {
		assert.Equal(t, same, hashKey(seed, "t", "", scopes))
	}
	assert.NotEqual(t, same, hashKey(seed, "", "", []string{"a", "b", "c"}))
	assert.NotEqual(t, same, hashKey(seed, "u", "", []string{"a", "b", "c"}))
	assert.NotEqual(t, same, hashKey(seed, "t", "", []string{"a", "b"}))
	assert.NotEqual(t, same, hashKey(seed, "t", "", []string{"ab", "c"}))
	assert.NotEqual(t, hashKey(seed, "a", "", []string{"b"}), hashKey(seed, "b", "", []string{"a"}))
	assert.NotEqual(t, same, hashKey(seed, "t", "u", []string{"a", "b", "c"}))
	assert.NotEqual(t, hashKey(seed, "a", "b", nil), hashKey(seed, "b", "a", nil))
}

func TestKeyMatches(t *testing.T) {
	k := Key{Tenant: "t", Scopes: []string{"a", "b", "c"}}
	for _, c := range []struct {
		tenant string
		scopes []string
		want   bool
	}{
		{"t", []string{"a", "b", "c"}, true},
		{"t", []string{"c", "a", "b"}, true},
		{"t", []string{"a", "b"}, false},
		{"t", []string{"a", "b", "b"}, false},
		{"t", []string{"a", "a", "a"}, false},
		{"t", []string{"a", "b", "d"}, false},
		{"t", []string{"a", "b", "c", "c"}, false},
		{"u", []string{"a", "b", "c"}, false},
		{"", []string{"a", "b", "c"}, false},
		{"t", nil, false},
	} {
		assert.Equal(t, c.want, k.matches(c.tenant, "", c.scopes), "%q %q", c.tenant, c.scopes)
	}
	user := Key{Tenant: "t", User: "u", Scopes: []string{"a"}}
	assert.True(t, user.matches("t", "u", []string{"a"}))
	assert.False(t, user.matches("t", "", []string{"a"}))
	assert.False(t, user.matches("u", "t", []string{"a"}))
	none := Key{}
	assert.True(t, none.matches("", "", nil))
	one := keyOf("a")
	assert.True(t, one.matches("", "", []string{"a"}))
	assert.False(t, one.matches("", "", []string{"b"}))
}

// Hashes only index: whose hash is the same is told apart by the key.
func TestCollidingHashes(t *testing.T) {
	c := newCache(1000)
	first := c.slot(keyOf("a"), 0)
	table := c.buckets.Load()
	bucket := table.chain(first.hash)
	second := &Slot[token]{hash: first.hash, key: Key{Tenant: "t", Scopes: []string{"b", "c"}}}
	table.next(second).Store(bucket.Load())
	bucket.Store(second)
	c.count++

	check := func() {
		t.Helper()
		assert.Same(t, first, c.lookup(first.hash, "", "", []string{"a"}))
		assert.Same(t, second, c.lookup(first.hash, "t", "", []string{"c", "b"}))
		assert.Nil(t, c.lookup(first.hash, "", "", []string{"b", "c"}))
		assert.Nil(t, c.lookup(first.hash, "t", "", []string{"a"}))
	}
	check()
	first.token.Store(tokenUntil(time.Hour))
	second.token.Store(tokenUntil(time.Hour))
	for range 5 { // both sides of the links, several times
		c.grow(c.buckets.Load())
		check()
	}
	c.remove(c.buckets.Load(), first, never)
	assert.True(t, first.dead.Load())
	assert.Nil(t, c.lookup(first.hash, "", "", []string{"a"}))
	assert.Same(t, second, c.lookup(first.hash, "t", "", []string{"b", "c"}))
	c.remove(c.buckets.Load(), second, never)
	assert.Zero(t, c.count)
	assert.Zero(t, c.len())
}

// A slot fills whole cache lines, and what a hit reads is in the first.
func TestSlotFillsCacheLines(t *testing.T) {
	var s Slot[token]
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("requires pointers of 64 bits")
	}
	assert.EqualValues(t, 3*64, unsafe.Sizeof(s))
	assert.EqualValues(t, 64, unsafe.Offsetof(s.text))
}

// Scopes are found whether they fit into their slot or not, and a slot keeps
// nothing of the caller's memory.
func TestScopesOfAllLengths(t *testing.T) {
	c := newCache(1000)
	for n := 1; n <= 2*shortScope; n++ {
		scope := []byte(strings.Repeat("s", n-1) + "/")
		s := c.slot(keyOf(string(scope)), 0)
		assert.Same(t, s, c.find("", "", []string{string(scope)}), n)
		assert.Equal(t, []string{string(scope)}, s.key.Scopes)
		assert.Nil(t, c.find("", "", []string{strings.Repeat("s", n)}), n)
	}
}

func TestCacheFindsWhatItHas(t *testing.T) {
	c := newCache(100_000)
	const n = 20_000
	fill(c, 0, n, 0, time.Hour)
	assert.Equal(t, n, c.count)
	assert.Equal(t, n, c.len())
	for i := range n {
		scope := fmt.Sprint("scope-", i)
		s := c.find("", "", []string{scope})
		require.NotNil(t, s)
		require.Equal(t, scope, s.key.Scopes[0])
		require.Same(t, s, c.slot(keyOf(scope), 0))
	}
	assert.Nil(t, c.find("", "", []string{"another"}))
	assert.Nil(t, c.find("t", "", []string{"scope-1"}))
	assert.Equal(t, n, c.count)
	longest := 0
	table := c.buckets.Load()
	for i := range table.chains {
		length := 0
		for s := table.chains[i].Load(); s != nil; s = table.next(s).Load() {
			length++
		}
		longest = max(longest, length)
	}
	assert.Less(t, longest, 16, "lookup isn't O(1)")
}

func TestCacheKeepsNothingOfTheCallersStrings(t *testing.T) {
	c := newCache(10)
	text := []byte("tenant scope")
	k := Key{Tenant: string(text[:6]), Scopes: []string{string(text[7:])}}
	scopes := k.Scopes
	s := c.slot(k, 0)
	scopes[0] = "changed"
	assert.Equal(t, "scope", s.key.Scopes[0])
}

func TestEviction(t *testing.T) {
	const limit = 64
	t.Run("the limit holds", func(t *testing.T) {
		c := newCache(limit)
		for i := range 100 * limit {
			fill(c, i, i+1, 0, time.Hour)
			require.LessOrEqual(t, c.len(), limit)
			require.Equal(t, c.len(), c.count)
		}
	})
	t.Run("what is used stays", func(t *testing.T) {
		c := newCache(limit)
		hot := c.slot(keyOf("hot"), 0)
		hot.token.Store(tokenUntil(1000 * time.Hour))
		for i := range 100 * limit {
			now := time.Duration(i) * 2 * time.Second
			hot.touch(now)
			fill(c, i, i+1, now, 1000*time.Hour)
			require.False(t, hot.dead.Load(), "after %d", i)
		}
	})
	t.Run("the expired go first", func(t *testing.T) {
		c := newCache(limit)
		fill(c, 0, limit/2, 0, time.Minute)
		fill(c, limit/2, limit, 0, time.Hour)
		fill(c, limit, limit+limit/2, 2*time.Minute, time.Hour)
		alive := 0
		for i := limit / 2; i < limit; i++ {
			if c.find("", "", []string{fmt.Sprint("scope-", i)}) != nil {
				alive++
			}
		}
		assert.GreaterOrEqual(t, alive, limit/2*3/4, "valid tokens left for expired ones")
	})
	t.Run("the busy stay", func(t *testing.T) {
		c := newCache(limit)
		var busy []*Slot[token]
		for i := range limit {
			s := c.slot(keyOf(fmt.Sprint("busy-", i)), 0)
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
	t.Run("a refusal is remembered", func(t *testing.T) {
		c := newCache(10 * limit)
		s := c.slot(keyOf("throttled"), 0)
		s.record().refused = &refusal{until: time.Hour}
		fill(c, 0, limit, 30*time.Minute, 40*time.Minute)
		fill(c, limit, 4*limit, 50*time.Minute, 2*time.Hour)
		assert.False(t, s.dead.Load())
		fill(c, 4*limit, 8*limit, 2*time.Hour, 3*time.Hour)
		assert.True(t, s.dead.Load(), "but not for ever")
	})
}

// A dead slot is never found again, and whoever asks gets another.
func TestDeadSlots(t *testing.T) {
	c := newCache(10)
	s := c.slot(keyOf("a"), 0)
	c.remove(c.buckets.Load(), s, never)
	require.True(t, s.dead.Load())
	assert.Nil(t, c.find("", "", []string{"a"}))
	again := c.slot(keyOf("a"), 0)
	assert.NotSame(t, s, again)
	assert.False(t, again.dead.Load())
	c.clear()
	assert.True(t, again.dead.Load())
	assert.Zero(t, c.len())
}

// Readers, writers, growth and eviction at once. A reader may miss a slot while
// it moves, but must never get another's, nor run in a circle.
func TestCacheUnderTheRaceDetector(t *testing.T) {
	c := newCache(500)
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	var found, missed atomic.Int64
	pinned := c.slot(keyOf("pinned"), 0)
	pinned.token.Store(tokenUntil(never))
	pinned.mu.Lock()
	pinned.record().flight = new(flight[token]) // is never evicted
	pinned.mu.Unlock()
	for range 4 {
		readers.Go(func() {
			scopes := make([]string, 1)
			for !stop.Load() {
				scopes[0] = fmt.Sprint("scope-", rand.IntN(2000))
				if s := c.find("", "", scopes); s != nil && s.key.Scopes[0] != scopes[0] {
					t.Errorf("asked for %s, got %s", scopes[0], s.key.Scopes[0])
				}
				scopes[0] = "pinned"
				if c.find("", "", scopes) == nil {
					missed.Add(1)
				} else {
					found.Add(1)
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 5_000 {
				now := time.Duration(i) * time.Second
				s := c.slot(keyOf(fmt.Sprint("scope-", rand.IntN(2000))), now)
				s.token.Store(tokenUntil(now + time.Duration(rand.IntN(100))*time.Second))
				if i%1000 == 0 && w == 0 { // more generations than a cache of this size sees
					c.mu.Lock()
					c.grow(c.buckets.Load())
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
	assert.Same(t, pinned, c.find("", "", []string{"pinned"}))
	assert.Less(t, missed.Load(), 1+found.Load()/20, "hits are lost for long")
}

func TestExpired(t *testing.T) {
	c := newCache(10)
	s := c.slot(keyOf("a"), time.Hour)
	assert.False(t, c.expired(s, time.Hour), "its token may be on the way")
	assert.True(t, c.expired(s, time.Hour+time.Minute))
	s.token.Store(tokenUntil(2 * time.Hour))
	assert.False(t, c.expired(s, 2*time.Hour-1))
	assert.True(t, c.expired(s, 2*time.Hour))
}
