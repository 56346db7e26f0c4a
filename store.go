package certtoken

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// Store keeps sealed tokens for several processes, so that only one of them asks the
// token endpoint; see [WithStore]. Keys are short ASCII strings, and values have a few
// kilobytes. Neither shows anything about the token. An entry of more than 2 MiB isn't
// read. An implementation is called from many goroutines, returns when the context
// ends, and copies the values that it keeps; certtokentest.TestStore checks it.
type Store interface {
	// Get returns the value of key, or an error that wraps [ErrStoreMiss].
	Get(ctx context.Context, key string) ([]byte, error)
	// Set keeps a value for as long as ttl, which is more than 0 and may be less
	// than a second.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete forgets key; one that isn't there is no error.
	Delete(ctx context.Context, key string) error
}

// Locker is a [Store] that can let one process make a request while the others
// wait for its token.
type Locker interface {
	Store
	// TryLock takes the lock of key for at most ttl (12 s) and returns a function that
	// releases it. That function must not release a lock that another process has
	// taken since. If the lock is taken already, TryLock returns nil, nil; it doesn't
	// wait. A lock's key is never that of an entry.
	TryLock(ctx context.Context, key string, ttl time.Duration) (unlock func(context.Context) error, err error)
}

// NewMemoryStore returns a [Store] in this process's memory, with [Locker]: for
// tests, and for clients of the same process. It is safe for concurrent use.
func NewMemoryStore() Store {
	return &memoryStore{entries: make(map[string]memoryEntry)}
}

type memoryStore struct {
	mu      sync.Mutex
	entries map[string]memoryEntry
}

type memoryEntry struct {
	value []byte
	until time.Time
}

var _ Locker = (*memoryStore)(nil)

func (m *memoryStore) Get(ctx context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok || !time.Now().Before(e.until) {
		return nil, ErrStoreMiss
	}
	return slices.Clone(e.value), ctx.Err()
}

func (m *memoryStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for k, e := range m.entries { // expired entries are removed; there are few entries
		if !now.Before(e.until) {
			delete(m.entries, k)
		}
	}
	m.entries[key] = memoryEntry{value: slices.Clone(value), until: now.Add(ttl)}
	return ctx.Err()
}

func (m *memoryStore) Delete(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
	return ctx.Err()
}

// TryLock keeps a lock as an entry whose value is its holder.
func (m *memoryStore) TryLock(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok && time.Now().Before(e.until) {
		return nil, ctx.Err()
	}
	holder := make([]byte, 16)
	rand.Read(holder)
	m.entries[key] = memoryEntry{value: holder, until: time.Now().Add(ttl)}
	return func(ctx context.Context) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if slices.Equal(m.entries[key].value, holder) {
			delete(m.entries, key)
		}
		return ctx.Err()
	}, nil
}
