package certtoken

import (
	"sync/atomic"
	"time"
)

// ShiftWall moves the wall clock of a client and leaves the monotonic one alone:
// forward as after a suspension, back as an administrator does.
func ShiftWall(c *Client, by time.Duration) { c.clock.shift.Add(int64(by)) }

// CacheLen counts the slots that can be found.
func CacheLen(c *Client) int {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	return c.cache.reachable()
}

// UserCacheLen counts those of tokens on behalf of users.
func UserCacheLen(c *Client) int {
	c.users.mu.Lock()
	defer c.users.mu.Unlock()
	return c.users.reachable()
}

// reachable counts what readers can come to.
func (c *cache) reachable() int {
	t := c.table.Load()
	n := 0
	for i := range t.buckets {
		for s := t.buckets[i].Load(); s != nil; s = next(t, s).Load() {
			n++
		}
	}
	return n
}

func next(t *table, s *slot) *atomic.Pointer[slot] { return &s.next[t.generation&1] }
