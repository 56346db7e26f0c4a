package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// loginLimit is how long finding the token and logging in may take. It leaves
// a person the time to type a PIN.
const loginLimit = 2 * time.Minute

var errEnded = errors.New("the function for the PIN ended its goroutine")

// connected returns the connection, and opens one if there is none.
func (p *pool) connected(ctx context.Context) (*connection, error) {
	c, f, err := p.join(ctx)
	if c != nil || err != nil {
		return c, err
	}
	select {
	case <-f.done:
		return f.connection, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("gave up waiting for the token: %w", ctx.Err())
	case <-p.closed:
		return nil, ErrClosed
	}
}

// join returns the connection, or else the flight that gets one.
func (p *pool) join(ctx context.Context) (*connection, *flight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return nil, nil, ErrClosed
	default:
	}
	switch {
	case p.connection != nil:
		return p.connection, nil, nil
	case p.refused != nil:
		return nil, nil, p.refused
	case p.flight != nil:
		return nil, p.flight, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginLimit)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	p.flight = f
	go p.fly(ctx, f)
	return nil, f, nil
}

// fly opens a connection.
func (p *pool) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	if err := p.enter(ctx); err != nil {
		p.land(f, nil, err)
		return
	}
	defer p.leave()
	var c *connection
	err := errEnded
	defer func() { p.land(f, c, err) }() // before the place is left: close looks for the connection
	c, err = guarded(func() (*connection, error) { return p.connect(ctx) })
}

// land publishes what came of a flight.
func (p *pool) land(f *flight, c *connection, err error) {
	p.mu.Lock()
	f.connection, f.err = c, err
	p.flight, p.connection = nil, c
	p.mu.Unlock()
	close(f.done)
}

// connect finds the token, logs in and reads what is needed.
func (p *pool) connect(ctx context.Context) (*connection, error) {
	api, err := p.loaded()
	if err != nil {
		return nil, err
	}
	p.closeLeftover(api)
	t, err := findToken(api, &p.cfg)
	if err != nil {
		return nil, err
	}
	session, err := api.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, call("C_OpenSession", err)
	}
	found, err := guarded(func() (*pair, error) { return p.enterToken(ctx, api, t, session) })
	if err != nil {
		p.keepLeftover(session, err)
		p.closeLeftover(api)
		return nil, err
	}
	return &connection{api: api, slot: t.slot, pair: found, idle: []p11.SessionHandle{session}}, nil
}

// enterToken logs in and reads key and certificate.
func (p *pool) enterToken(ctx context.Context, api cryptoki, t token, session p11.SessionHandle) (*pair, error) {
	if err := p.login(ctx, api, t, session); err != nil {
		return nil, err
	}
	return p.read(objects{api, session})
}

// loaded is the module, ready for use.
func (p *pool) loaded() (cryptoki, error) {
	p.mu.Lock()
	api := p.api
	p.mu.Unlock()
	if api != nil {
		return api, p.library.revive()
	}
	ctx, err := p.library.use()
	if err != nil {
		return nil, err
	}
	p.mu.Lock() // there is one flight, so no other call loads
	p.api = p.wrap(ctx)
	api = p.api
	p.mu.Unlock()
	return api, nil
}
