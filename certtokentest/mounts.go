package certtokentest

import (
	"net/http"
	"sync"
)

// mounts are handlers of the user's, on the same server.
type mounts struct {
	mu  sync.RWMutex
	mux *http.ServeMux
}

// Handle lets the server answer a pattern of [http.ServeMux], which may name a
// host, by a handler: an API that wants the tokens, for instance, so that it
// is reached through [Server.Client] too. It comes before the server's own
// paths. Like ServeMux it panics when patterns conflict.
func (s *Server) Handle(pattern string, handler http.Handler) {
	s.mounts.mu.Lock()
	defer s.mounts.mu.Unlock()
	if s.mounts.mux == nil {
		s.mounts.mux = http.NewServeMux()
	}
	s.mounts.mux.Handle(pattern, handler)
}

// handler returns the mux if a pattern of it matches, else nil.
func (m *mounts) handler(r *http.Request) http.Handler {
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
