package connections

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// net/http dials for every request that finds no idle connection, and goes on with the
// dial when another connection becomes free before. The next request dials again, so a
// rush of requests opens more connections than there are requests at once. Here a dial
// waits while there are as many connections as requests, because then one of them is
// idle, or being made and not needed by the request that it was dialed for. The waiting
// request gets that one.

// Begin notes that a request to a server begins, whose context is ctx and which goes over
// a RoundTripper. It returns the context to send the request with, and what must be called
// when the request has ended. The transports that this package made then open at most as
// many connections to the server as there are such requests at once.
func Begin(ctx context.Context, over http.RoundTripper, server *url.URL) (context.Context, func()) {
	switch over.(type) {
	case *http.Transport, Fixed:
	default:
		return ctx, func() {} // it may not be comparable, and dials by itself
	}
	key := route{over, server.Scheme, server.Host}
	f := crowds.join(key)
	f.ended, f.deadline = ctx.Done(), patience(ctx)
	return context.WithValue(ctx, followerKey{}, f), sync.OnceFunc(func() { crowds.leave(key) })
}

// route is a server, and the transport by which it is reached. A connection of one
// transport is of no use to another.
type route struct {
	over         http.RoundTripper
	scheme, host string
}

// crowd is what is under way on a route.
type crowd struct {
	requests    int
	connections int           // open or being opened
	changed     chan struct{} // closed when a dial that waits may go on
}

// crowdTable has the routes on which something is under way. It may be used from many
// goroutines.
type crowdTable struct {
	mu     sync.Mutex // guards the rest
	routes map[route]*crowd
}

// crowds are those of all transports. A transport has no place for a value of ours.
var crowds crowdTable

// follower is a request on a route.
type follower struct {
	key      route
	ended    <-chan struct{} // closed when the request has ended
	deadline time.Time       // until when its dial waits
}

type followerKey struct{}

// assumedLimit is the time that a request without a deadline is taken to have.
const assumedLimit = 10 * time.Second

// patience is until when a dial waits for its turn: for a quarter of the time that the
// request has. A connection that hangs while it is made could hold the others up else.
func patience(ctx context.Context) time.Time {
	now := time.Now()
	left := assumedLimit
	if deadline, ok := ctx.Deadline(); ok {
		left = deadline.Sub(now)
	}
	return now.Add(left / 4)
}

func (t *crowdTable) join(key route) *follower {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.routes[key]
	if c == nil {
		if t.routes == nil {
			t.routes = make(map[route]*crowd)
		}
		c = &crowd{changed: make(chan struct{})}
		t.routes[key] = c
	}
	c.requests++
	c.wake()
	return &follower{key: key}
}

func (t *crowdTable) leave(key route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.routes[key].requests--
	t.forget(key)
}

// forget removes a route on which nothing is under way.
func (t *crowdTable) forget(key route) {
	if c := t.routes[key]; c.requests == 0 && c.connections == 0 {
		delete(t.routes, key)
	}
}

// wake lets the dials that wait look again.
func (c *crowd) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// errNotNeeded ends a dial whose request has ended. No caller sees it: the request got
// another connection, or an error of its own.
var errNotNeeded = errors.New("the connection is no longer needed")

// enter counts a connection that is going to be opened, as soon as there are fewer
// connections than requests or the request has waited long enough.
func (t *crowdTable) enter(f *follower) error {
	var late <-chan time.Time
	for {
		left := time.Until(f.deadline)
		changed := t.tryEnter(f, left <= 0)
		if changed == nil {
			return nil
		}
		if late == nil {
			timer := time.NewTimer(left)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-changed:
		case <-late:
		case <-f.ended:
			return errNotNeeded
		}
	}
}

// tryEnter counts a connection if there is room for it, or if it must. Else it returns a
// channel that is closed when it is worth trying again.
func (t *crowdTable) tryEnter(f *follower, must bool) (changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.routes[f.key]
	if c == nil { // the request has ended, and was the last on its route
		c = &crowd{changed: make(chan struct{})}
		t.routes[f.key] = c
	}
	if !must && c.connections >= c.requests {
		return c.changed
	}
	c.connections++
	return nil
}

// exit is the end of a connection.
func (t *crowdTable) exit(key route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.routes[key]
	c.connections--
	c.wake()
	t.forget(key)
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// inCrowd makes dials wait for their turn, and counts the connections.
func inCrowd(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		f, ok := ctx.Value(followerKey{}).(*follower) // net/http keeps the request's values
		if !ok {
			return dial(ctx, network, addr)
		}
		if err := crowds.enter(f); err != nil {
			return nil, err
		}
		exit := sync.OnceFunc(func() { crowds.exit(f.key) })
		conn, err := dial(ctx, network, addr)
		if err != nil {
			exit()
			return nil, err
		}
		return &countedConn{Conn: conn, exit: exit}, nil
	}
}

// countedConn counts until it is closed.
type countedConn struct {
	net.Conn
	exit func()
}

func (c *countedConn) Close() error {
	defer c.exit()
	return c.Conn.Close()
}
