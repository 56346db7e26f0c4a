package proof

import (
	"maps"
	"slices"
	"sync"
)

// Clients are the registered ones. The zero value has none. Its methods may be
// called from many goroutines.
type Clients struct {
	mu    sync.RWMutex
	known map[string]*Client
}

// Update replaces a client by a changed copy, and makes one that isn't there yet.
// A request in progress sees one or the other.
func (g *Clients) Update(clientID string, change func(*Client)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = make(map[string]*Client)
	}
	old := g.known[clientID]
	if old == nil {
		old = &Client{}
	}
	next := old.copy()
	change(next)
	g.known[clientID] = next
}

// Remove removes a client.
func (g *Clients) Remove(clientID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, clientID)
}

// Lookup returns a client that nobody changes, or nil.
func (g *Clients) Lookup(clientID string) *Client {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.known[clientID]
}

// Names are the clients that there are, in order.
func (g *Clients) Names() []string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.Sorted(maps.Keys(g.known))
}
