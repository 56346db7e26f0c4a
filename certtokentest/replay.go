package certtokentest

import (
	"sync"
	"time"
)

// maxUsed bounds the memory of used assertions; past it the oldest is forgotten.
const maxUsed = 1 << 17

// usedSet remembers assertions until they end.
type usedSet struct {
	mu    sync.Mutex
	ends  map[string]time.Time
	order []string // oldest first
}

// add reports whether the key is new, and remembers it until end.
func (u *usedSet) add(key string, end, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if seen, ok := u.ends[key]; ok && now.Before(seen) {
		return false
	}
	if u.ends == nil {
		u.ends = make(map[string]time.Time)
	}
	u.drop(now)
	u.ends[key] = end
	u.order = append(u.order, key)
	return true
}

// drop forgets what has ended from the old end on, and the oldest when full.
func (u *usedSet) drop(now time.Time) {
	for len(u.order) > 0 && (len(u.order) >= maxUsed || !now.Before(u.ends[u.order[0]])) {
		delete(u.ends, u.order[0])
		u.order[0] = ""
		u.order = u.order[1:]
	}
}

func (u *usedSet) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ends, u.order = nil, nil
}
