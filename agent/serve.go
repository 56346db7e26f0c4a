package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of a connection. A caller waits for a token at most as long as tokenLimit, and
// longer only for its turn.
const (
	headerLimit    = 5 * time.Second
	readLimit      = 10 * time.Second
	writeLimit     = tokenLimit + turnLimit + 10*time.Second
	idleLimit      = 2 * time.Minute
	maxHeader      = 16 << 10
	maxConnections = 1024
)

// newServer bounds what a connection to a handler can cost.
func newServer(handler http.Handler) *http.Server {
	table := &connTable{open: map[net.Conn]*connState{}}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       readLimit,
		WriteTimeout:      writeLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       table.context,
		ConnState:         table.changed,
		ErrorLog:          log.New(io.Discard, "", 0), // what strangers send isn't logged
	}
}

// checkLocal refuses addresses that other machines can reach.
func checkLocal(addr net.Addr) error {
	switch at := addr.(type) {
	case *net.UnixAddr:
		return nil
	case *net.TCPAddr:
		if at.IP.IsLoopback() {
			return nil
		}
	}
	return fmt.Errorf("%s is neither a loopback address nor a Unix socket: other machines could ask for tokens", addr)
}

// servers are those of Serve.
type servers struct {
	mu     sync.Mutex
	list   []*http.Server
	closed bool
}

func (s *servers) add(server *http.Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.list = append(s.list, server)
	return true
}

// shutdown ends them. What is still under way when the context ends is cut off.
func (s *servers) shutdown(ctx context.Context) error {
	s.mu.Lock()
	list := s.list
	s.list, s.closed = nil, true
	s.mu.Unlock()
	var all sync.WaitGroup
	errs := make([]error, len(list))
	for i, server := range list {
		all.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				errs[i] = errors.Join(err, server.Close())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// connTable has the open connections of a server, so that there is always room for one
// more: who opens many and shows no secret is the first to lose them.
type connTable struct {
	mu    sync.Mutex
	open  map[net.Conn]*connState
	count int // of all that ever came
}

// connState is what the table has of a connection.
type connState struct {
	number  int
	trusted bool
}

// context is the ConnContext of the server.
func (t *connTable) context(ctx context.Context, conn net.Conn) context.Context {
	c := newConnection(conn)
	state := t.enter(conn)
	c.trust = func() { t.trust(state) }
	return context.WithValue(ctx, connectionKey{}, c)
}

func (t *connTable) enter(conn net.Conn) *connState {
	t.mu.Lock()
	t.count++
	state := &connState{number: t.count}
	var leaves net.Conn
	if len(t.open) >= maxConnections {
		leaves = t.first()
		delete(t.open, leaves)
	}
	t.open[conn] = state
	t.mu.Unlock()
	if leaves != nil {
		_ = leaves.Close() // its own goroutine ends with it
	}
	return state
}

// first is the connection to close: the oldest of those that showed no right secret, or
// else the oldest.
func (t *connTable) first() net.Conn {
	var found net.Conn
	var least *connState
	for conn, state := range t.open {
		if least == nil || !state.trusted && least.trusted ||
			state.trusted == least.trusted && state.number < least.number {
			found, least = conn, state
		}
	}
	return found
}

// changed is the ConnState of the server.
func (t *connTable) changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, conn)
}

// trust notes that a caller who is listed uses a connection.
func (t *connTable) trust(state *connState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	state.trusted = true
}
