package inprocess

import (
	"net/http"
	"sync"
)

// Mounts are handlers of the user's, on the same server. The zero value has none.
type Mounts struct {
	mu  sync.RWMutex
	mux *http.ServeMux
}

// Add adds one for a pattern. It panics, as [http.ServeMux] does, when patterns conflict.
func (m *Mounts) Add(pattern string, handler http.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mux == nil {
		m.mux = http.NewServeMux()
	}
	m.mux.Handle(pattern, handler)
}

// Handler returns the mux if a pattern of it matches, else nil.
func (m *Mounts) Handler(r *http.Request) http.Handler {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mux == nil {
		return nil
	}
	if _, pattern := m.mux.Handler(r); pattern == "" {
		return nil
	}
	return m.mux
}
