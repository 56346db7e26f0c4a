package dpop

import (
	"container/list"
	"net/http"
	"sync"
)

// Bounds of what is remembered: answers choose the hosts and the nonces.
const (
	maxOrigins = 256
	maxNonce   = 1 << 10 // bytes
)

// Nonces are the newest nonce of each origin, for as many as were used last. The zero value
// has none. It may be used from many goroutines.
type Nonces struct {
	mu       sync.Mutex
	byOrigin map[string]*list.Element // of *known
	order    list.List                // the last used first
}

type known struct{ origin, nonce string }

// Of is the newest nonce of an origin, or "".
func (n *Nonces) Of(origin string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.byOrigin[origin]
	if !ok {
		return ""
	}
	n.order.MoveToFront(e)
	return e.Value.(*known).nonce
}

// Note remembers the nonce that an answer of an origin has, if it has one (§8.2). A header
// that isn't one nonce is ignored.
func (n *Nonces) Note(origin string, header http.Header) {
	values := header.Values(NonceHeader)
	if len(values) != 1 || !isNonce(values[0]) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.byOrigin[origin]; ok {
		e.Value.(*known).nonce = values[0]
		n.order.MoveToFront(e)
		return
	}
	if n.byOrigin == nil {
		n.byOrigin = make(map[string]*list.Element)
	}
	if len(n.byOrigin) >= maxOrigins {
		oldest := n.order.Back()
		delete(n.byOrigin, oldest.Value.(*known).origin)
		n.order.Remove(oldest)
	}
	n.byOrigin[origin] = n.order.PushFront(&known{origin, values[0]})
}

// isNonce reports whether a text has the syntax of §8.1: visible characters, without
// quotation mark and backslash.
func isNonce(s string) bool {
	if s == "" || len(s) > maxNonce {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
