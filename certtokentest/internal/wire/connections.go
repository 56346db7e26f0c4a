package wire

import (
	"errors"
	"net"
	"net/http"
	"strings"
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

// tlsFailures is what net/http writes its errors to. It has no other way to tell
// of a handshake that failed. Its other lines are about what tests do on purpose.
type tlsFailures func(remote string, err error)

func (f tlsFailures) Write(line []byte) (int, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "http: TLS handshake error from ")
	remote, reason, cut := strings.Cut(rest, ": ")
	if f != nil && ok && cut {
		f(remote, errors.New(reason))
	}
	return len(line), nil
}
