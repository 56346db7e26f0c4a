package connections

import (
	"net/http"
	"sync"
)

// Lease is the use of connections by one client. Make it with [Take], and close it at the
// client's end. It may be used from many goroutines.
type Lease struct {
	client *http.Client
	end    func() // safe to call again
}

// Take returns a copy of the user's client, or a new one where user is nil, without
// cookies. Where the user names no transport, its connections are shared with all others
// that were made so, and up to idle unused ones are kept to each host. The user's
// transport is neither changed nor closed.
func Take(user *http.Client, idle int) *Lease {
	client := new(http.Client)
	if user != nil {
		*client = *user
		client.Jar = nil
		if user.Transport != nil || !isStandard(http.DefaultTransport) {
			return &Lease{client: client, end: func() {}}
		}
	}
	transport, release := sharedPool.take(idle)
	client.Transport = transport
	return &Lease{client: client, end: sync.OnceFunc(release)}
}

// Own returns a client with a transport that belongs to it alone. The transport's idle
// connections are closed with the lease.
func Own(transport http.RoundTripper) *Lease {
	client := &http.Client{Transport: transport}
	return &Lease{client: client, end: client.CloseIdleConnections}
}

// isStandard reports whether a transport is of the type of net/http's. A user's client
// without a transport uses what a program has put in the place of that one.
func isStandard(transport http.RoundTripper) bool {
	_, ok := transport.(*http.Transport)
	return ok
}

// Client has the connections. It is the lease's own and may be changed before it is used.
func (l *Lease) Client() *http.Client { return l.client }

// Close gives the connections back. Shared ones are closed with the last lease, each as
// soon as it is unused.
func (l *Lease) Close() { l.end() }

// Leases counts the leases of shared connections that are not closed.
func Leases() int {
	sharedPool.mu.Lock()
	defer sharedPool.mu.Unlock()
	leases := 0
	for _, u := range sharedPool.uses {
		leases += u.leases
	}
	return leases
}

// sharedPool has the connections of all clients that were given none.
var sharedPool pool

// pool counts who uses which transport.
type pool struct {
	mu   sync.Mutex // guards the rest
	uses map[kind]*use
}

// kind is what makes transports differ. A program that puts another transport in the
// place of http.DefaultTransport wants its clients to use the settings of that one.
type kind struct {
	like *http.Transport // http.DefaultTransport, or nil where it is of another type
	idle int
}

// use is a transport and the number of leases that use it.
type use struct {
	transport *http.Transport
	leases    int
}

// take returns the transport for so many unused connections, and what gives it back.
func (p *pool) take(idle int) (*http.Transport, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := kind{idle: idle}
	of.like, _ = http.DefaultTransport.(*http.Transport)
	u := p.uses[of]
	if u == nil {
		if p.uses == nil {
			p.uses = make(map[kind]*use)
		}
		u = &use{transport: New(idle, DefaultHealth)}
		p.uses[of] = u
	}
	u.leases++
	return u.transport, func() { p.release(of, u) }
}

// release counts down, and closes the connections of a transport that no lease uses.
func (p *pool) release(of kind, u *use) {
	p.mu.Lock()
	u.leases--
	last := u.leases == 0
	if last {
		delete(p.uses, of)
	}
	p.mu.Unlock()
	if last {
		u.transport.CloseIdleConnections() // without the lock: it writes to connections
	}
}
