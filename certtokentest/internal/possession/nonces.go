package possession

import (
	"crypto/rand"
	"sync"
	"time"
)

// nonceLife is how long a nonce is the newest one. It is taken for as long again.
const nonceLife = 5 * time.Minute

// nonces are the newest one, and the one before it.
type nonces struct {
	mu               sync.Mutex
	current, earlier string
	since            time.Time // when current was made
}

// newest returns the nonce that answers tell.
func (n *nonces) newest(now time.Time) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.renew(now)
	return n.current
}

func (n *nonces) isGood(nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.renew(now)
	return nonce != "" && (nonce == n.current || nonce == n.earlier)
}

// renew makes a new nonce when that is due. The caller holds n.mu.
func (n *nonces) renew(now time.Time) {
	switch age := now.Sub(n.since); {
	case n.current == "" || age >= 2*nonceLife:
		n.current, n.earlier, n.since = rand.Text(), "", now
	case age >= nonceLife:
		n.current, n.earlier, n.since = rand.Text(), n.current, now
	}
}

func (n *nonces) expire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current, n.earlier = "", ""
}
