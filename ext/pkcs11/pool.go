package pkcs11

import (
	"context"
	"fmt"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// closeLimit is how long close waits for what the token is doing.
const closeLimit = 5 * time.Second

// connection is a token that was found and logged in to. Its handles mean
// nothing to another one.
type connection struct {
	api  cryptoki
	slot uint
	pair *pair               // guarded by pool.mu
	idle []p11.SessionHandle // guarded by pool.mu
}

// flight is finding a token and logging in. It is shared by all who wait for it,
// and outlives the one who started it.
type flight struct {
	cancel     context.CancelFunc
	done       chan struct{}
	connection *connection // with err, set before done is closed
	err        error
}

// pool is what a Source has of its token: the module, the connection and the sessions on it,
// of which a bounded number is in use at once.
type pool struct {
	cfg     config
	library *module
	wrap    func(cryptoki) cryptoki // for tests, which let a token misbehave

	// read reads key and certificate of a token that is logged in to. New gives it, because
	// the signer that it makes of the key uses this pool.
	read func(objects) (*pair, error)

	places chan struct{} // one for each session that may be in use
	turn   chan struct{} // holds the one who asks for the PIN and tries it
	closed chan struct{} // closed by close

	mu         sync.Mutex // guards what follows; never held over a call of the module
	api        cryptoki   // nil: not loaded yet
	connection *connection
	flight     *flight
	leftover   []p11.SessionHandle // of lost connections, to be closed
	refused    error               // the token refused the PIN
	givenUp    int                 // places without a session, as the token has no more
}

// enter waits for a place to use a session.
func (p *pool) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("gave up waiting for a session: %w", ctx.Err())
	case <-p.closed:
		return ErrClosed
	}
	select {
	case <-p.closed: // close may be collecting the places
		p.leave()
		return ErrClosed
	default:
		return nil
	}
}

func (p *pool) leave() { <-p.places }

func (p *pool) pairOf(c *connection) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.pair
}

// lose forgets a connection, this one and no newer one.
func (p *pool) lose(lost *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connection == lost {
		p.connection = nil
	}
	p.leftover = append(p.leftover, lost.idle...)
	lost.idle = nil
}

// keepLeftover notes a session to be closed, unless it is gone.
func (p *pool) keepLeftover(session p11.SessionHandle, err error) {
	if isGone(err) {
		return
	}
	p.mu.Lock()
	p.leftover = append(p.leftover, session)
	p.mu.Unlock()
}

// closeLeftover closes what lost connections have left, before new sessions are
// opened: a module may give their numbers out again.
func (p *pool) closeLeftover(api cryptoki) {
	p.mu.Lock()
	handles := p.leftover
	p.leftover = nil
	p.mu.Unlock()
	for _, handle := range handles {
		_ = api.CloseSession(handle) // most are gone already
	}
}

// close ends callers that wait, and shuts the pool when no call uses it.
func (p *pool) close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
		p.mu.Unlock()
		return nil
	default:
	}
	close(p.closed)
	if p.flight != nil {
		p.flight.cancel()
	}
	places := cap(p.places) - p.givenUp
	p.mu.Unlock()

	done := make(chan error, 1)
	go func() {
		for range places { // each call that held one has ended
			p.places <- struct{}{}
		}
		done <- p.shut()
	}()
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("the token is still busy after %v", closeLimit)
	}
}

// shut closes the sessions and lets go of the module, when no call uses them.
func (p *pool) shut() error {
	p.mu.Lock()
	api, handles := p.api, p.leftover
	if p.connection != nil {
		handles = append(handles, p.connection.idle...)
	}
	p.connection, p.leftover, p.api = nil, nil, nil
	p.mu.Unlock()
	if api == nil {
		return nil
	}
	for _, handle := range handles {
		_ = api.CloseSession(handle) // a session that is gone already is closed
	}
	return p.library.release()
}
