package cache

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/certtoken/certtoken/internal/clock"
)

// The cache has a slot for each thing that can be asked for. Reading takes no
// lock: a table of chains that is only ever extended or relinked, atomically.
// Whoever doesn't find a slot takes the table's mutex and looks again, so a
// reader that comes between two steps of a writer loses time and nothing else.

// Key is what a token was asked for.
type Key struct {
	Tenant string
	User   string   // SHA-256 of the user's assertion; "": the client acts as itself
	Scopes []string // as given by whoever asked first, without duplicates
}

// matches tells whether tenant, user and scopes ask for the same as k, with the
// scopes in any order. It allocates nothing.
func (k *Key) matches(tenant, user string, scopes []string) bool {
	if len(k.Scopes) != len(scopes) || k.Tenant != tenant || k.User != user {
		return false
	}
	if len(scopes) == 1 {
		return k.Scopes[0] == scopes[0]
	}
	if slices.Equal(k.Scopes, scopes) {
		return true
	}
	// k has no duplicates and the numbers are equal, so if every scope of k is
	// asked for, nothing else is.
	for _, s := range k.Scopes {
		if !slices.Contains(scopes, s) {
			return false
		}
	}
	return true
}

// matches is that of the slot's key, short for what is asked for as a rule.
func (s *Slot[T]) matches(tenant, user string, scopes []string) bool {
	if s.only[0] != "" && len(scopes) == 1 && tenant == "" && user == "" {
		return s.only[0] == scopes[0]
	}
	return s.key.matches(tenant, user, scopes)
}

// maxUnsorted bounds the comparison above, which is quadratic.
const maxUnsorted = 32

// hashKey doesn't depend on the order of the scopes.
func hashKey(seed maphash.Seed, tenant, user string, scopes []string) uint32 {
	var h uint64
	for _, s := range scopes {
		h += maphash.String(seed, s)
	}
	if tenant != "" {
		h ^= maphash.String(seed, tenant) * 0x9e3779b97f4a7c15
	}
	if user != "" {
		h ^= maphash.String(seed, user) * 0xbf58476d1ce4e5b9
	}
	return uint32(h)
}

// slot holds the token for one key, and its one flight. A slot takes three cache
// lines of 64 bytes: what a hit reads comes first and fills one, the text of a
// short scope lies in the next, which the processor fetches beside it.
type Slot[T any] struct {
	hash uint32
	used atomic.Uint32 // coarse time of the last hit, for eviction

	// next has two links, for tables of even and of odd generation: growing
	// writes the new table's links while readers follow the old one's.
	next [2]atomic.Pointer[Slot[T]]

	only  [1]string         // the scope, if there is one alone and it is the own tenant's
	token atomic.Pointer[T] // nil: none yet, or forgotten
	renew atomic.Int64      // clock reading from which a hit starts a renewal

	// ahead is that of token's span: with it and renew, a hit needs to read
	// nothing of the token until that is due.
	ahead atomic.Int64

	text [shortScope]byte // what only points to, if it fits
	dead atomic.Bool      // evicted: who holds it looks for the new slot

	key  Key
	mu   sync.Mutex // guards work, and dead against a flight that starts; never held over I/O
	work *work[T]
}

// shortScope is what fills a slot up to its three lines.
const shortScope = 52

// work is what a slot knows beyond its token; most slots never need it.
type work[T any] struct {
	flight   *flight[T]
	refused  *refusal
	failures int    // renewals that failed since the last success
	claims   string // that the token was asked for with
	forced   bool
	forcedAt time.Duration // when a resource's 401 last forced a renewal
}

// flight is a token request under way.
type flight[T any] struct {
	done   chan struct{}   // closed when the results are there
	over   <-chan struct{} // closed when its time is over
	claims string

	renewBefore int64 // slot.renew as it was

	trouble atomic.Pointer[error] // of an attempt that is being repeated

	token  *T
	shared bool // the token is from the store
	err    error
}

// table is a table of slots, found without a lock.
type table[T any] struct {
	seed  maphash.Seed
	limit int
	life  func(*T) *clock.Span

	table atomic.Pointer[buckets[T]]

	mu    sync.Mutex // guards writing
	count int
	hand  int // where eviction looks next
}

type buckets[T any] struct {
	generation int
	chains     []atomic.Pointer[Slot[T]] // a power of two
}

func (t *buckets[T]) bucket(hash uint32) *atomic.Pointer[Slot[T]] {
	return &t.chains[int(hash)&(len(t.chains)-1)]
}

const minBuckets = 16

// never is a clock reading that doesn't come.
const never = time.Duration(math.MaxInt64)

// usedGrain is the coarseness of slot.used: with it a hit writes to shared
// memory once in a while and not each time.
const usedGrain = 16 * time.Second

func newTable[T any](limit int, life func(*T) *clock.Span) *table[T] {
	c := &table[T]{seed: maphash.MakeSeed(), limit: limit, life: life}
	c.table.Store(&buckets[T]{chains: make([]atomic.Pointer[Slot[T]], minBuckets)})
	return c
}

// find returns the slot of a key, or nil. It takes no lock and allocates
// nothing; nil may be wrong while the table changes.
func (c *table[T]) find(tenant, user string, scopes []string) *Slot[T] {
	if len(scopes) > maxUnsorted {
		return nil
	}
	return c.lookup(hashKey(c.seed, tenant, user, scopes), tenant, user, scopes)
}

func (c *table[T]) lookup(hash uint32, tenant, user string, scopes []string) *Slot[T] {
	t := c.table.Load()
	side := t.generation & 1
	s := t.bucket(hash).Load()
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
func (c *table[T]) slot(k Key, now time.Duration) *Slot[T] {
	hash := hashKey(c.seed, k.Tenant, k.User, k.Scopes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.lookup(hash, k.Tenant, k.User, k.Scopes); s != nil {
		return s
	}
	c.makeRoom(now, 1)
	if t := c.table.Load(); c.count >= len(t.chains) {
		c.grow(t)
	}
	s := newSlot[T](hash, k)
	s.touch(now)
	t := c.table.Load()
	bucket := t.bucket(hash)
	s.next[t.generation&1].Store(bucket.Load())
	bucket.Store(s)
	c.count++
	return s
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

// tidy lets a few expired tokens leave, for a client that needs no new slots.
func (c *table[T]) tidy(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.makeRoom(now, 0)
}

// makeRoom removes what is over among a few slots, and what was used least
// recently as far as there is no room for so many new ones.
func (c *table[T]) makeRoom(now time.Duration, slots int) {
	for range maxEvictions {
		if c.sweep(now, c.limit-slots); c.count <= c.limit-slots {
			return
		}
	}
}

// grow doubles the table. The slots are linked anew by the other side of next.
func (c *table[T]) grow(old *buckets[T]) {
	bigger := &buckets[T]{
		generation: old.generation + 1,
		chains:     make([]atomic.Pointer[Slot[T]], 2*len(old.chains)),
	}
	from, to := old.generation&1, bigger.generation&1
	for i := range old.chains {
		for s := old.chains[i].Load(); s != nil; s = s.next[from].Load() {
			bucket := bigger.bucket(s.hash)
			s.next[to].Store(bucket.Load())
			bucket.Store(s)
		}
	}
	c.table.Store(bigger)
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
	// to exceed it because all its slots were busy.
	maxEvictions = 4
)

// sweep removes what is over among the next few slots, and the least recently
// used of them if there are more than the limit. A slot with a flight stays.
func (c *table[T]) sweep(now time.Duration, limit int) {
	full := c.count > limit
	sample := sweepSample
	if full {
		sample = evictSample
	}
	t := c.table.Load()
	var oldest *Slot[T]
	seen := 0
	for range min(len(t.chains), sweepBuckets) {
		if seen >= sample && (!full || c.count <= limit || oldest != nil) {
			break
		}
		c.hand = (c.hand + 1) & (len(t.chains) - 1)
		for s := t.chains[c.hand].Load(); s != nil; s = s.next[t.generation&1].Load() {
			seen++
			switch {
			case c.over(s, now):
				c.remove(t, s, now)
			case oldest == nil || int32(s.used.Load()-oldest.used.Load()) < 0:
				oldest = s
			}
		}
	}
	if c.count > limit && oldest != nil {
		c.remove(t, oldest, never)
	}
}

// remove unlinks s unless it is busy. Readers that stand on it go on through
// its next.
func (c *table[T]) remove(t *buckets[T], s *Slot[T], now time.Duration) {
	if !s.retire(now) {
		return
	}
	side := t.generation & 1
	link := t.bucket(s.hash)
	for at := link.Load(); at != nil; at = link.Load() {
		if at == s {
			link.Store(s.next[side].Load())
			c.count--
			return
		}
		link = &at.next[side]
	}
}

// clear forgets everything.
func (c *table[T]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.table.Load()
	for i := range t.chains {
		for s := t.chains[i].Load(); s != nil; s = s.next[t.generation&1].Load() {
			s.dead.Store(true)
			s.token.Store(nil)
		}
	}
	c.table.Store(&buckets[T]{generation: t.generation + 1, chains: make([]atomic.Pointer[Slot[T]], minBuckets)})
	c.count = 0
}

// touch notes that s was used.
func (s *Slot[T]) touch(now time.Duration) {
	stamp := uint32(now / usedGrain)
	if s.used.Load() != stamp {
		s.used.Store(stamp)
	}
}

// over tells whether s has no token that is still handed out. A slot that was
// used lately is spared: its token may be on the way.
func (c *table[T]) over(s *Slot[T], now time.Duration) bool {
	if t := s.token.Load(); t != nil {
		return now >= c.life(t).End
	}
	return uint32(now/usedGrain)-s.used.Load() > 1
}

// retire marks s as dead, unless somebody works on it or it remembers a refusal
// that holds at the given time.
func (s *Slot[T]) retire(now time.Duration) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if w := s.work; w != nil && (w.flight != nil || w.refused != nil && now < w.refused.until) {
		return false
	}
	s.dead.Store(true)
	return true
}

// forget drops this very token, so that a newer one stays.
func (s *Slot[T]) forget(t *T) { s.token.CompareAndSwap(t, nil) }

// clone gives the slot strings of its own: a scope may be a part of a large
// text of the caller's.
func (k Key) clone() Key {
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = strings.Clone(s)
	}
	return Key{Tenant: strings.Clone(k.Tenant), User: k.User, Scopes: scopes}
}

// len counts what readers can come to.
func (c *table[T]) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.table.Load()
	n := 0
	for i := range t.chains {
		for s := t.chains[i].Load(); s != nil; s = s.next[t.generation&1].Load() {
			n++
		}
	}
	return n
}
