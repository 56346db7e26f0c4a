package wire

import (
	"net"
	"net/http"
	"sync"
)

// connections counts those of a server.
type connections struct {
	mu     sync.Mutex
	opened int
	open   int
	peak   int
}

// note is a server's ConnState.
func (c *connections) note(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.opened++
		c.open++
		c.peak = max(c.peak, c.open)
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
}

func (c *connections) counts() (opened, peak int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.peak
}
