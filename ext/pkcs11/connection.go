package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// connection is a token that was found and logged in to. Its handles mean
// nothing to another one.
type connection struct {
	api  cryptoki
	slot uint
	pair *pair               // guarded by Source.mu
	idle []p11.SessionHandle // guarded by Source.mu
}

// flight is finding a token and logging in. It is shared by all who wait for it,
// and outlives the one who started it.
type flight struct {
	cancel     context.CancelFunc
	done       chan struct{}
	connection *connection // with err, set before done is closed
	err        error
}

var errEnded = errors.New("the function for the PIN ended its goroutine")

// connected returns the connection, and opens one if there is none.
func (s *Source) connected(ctx context.Context) (*connection, error) {
	c, f, err := s.join(ctx)
	if c != nil || err != nil {
		return c, err
	}
	select {
	case <-f.done:
		return f.connection, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("gave up waiting for the token: %w", ctx.Err())
	case <-s.closed:
		return nil, ErrClosed
	}
}

// join returns the connection, or else the flight that gets one.
func (s *Source) join(ctx context.Context) (*connection, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil, nil, ErrClosed
	default:
	}
	switch {
	case s.connection != nil:
		return s.connection, nil, nil
	case s.refused != nil:
		return nil, nil, s.refused
	case s.flight != nil:
		return nil, s.flight, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loginLimit)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	s.flight = f
	go s.fly(ctx, f)
	return nil, f, nil
}

// fly opens a connection.
func (s *Source) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	if err := s.enter(ctx); err != nil {
		s.land(f, nil, err)
		return
	}
	defer s.leave()
	var c *connection
	err := errEnded
	defer func() { s.land(f, c, err) }() // before the place is left: Close looks for the connection
	c, err = guarded(func() (*connection, error) { return s.connect(ctx) })
}

// land publishes what came of a flight.
func (s *Source) land(f *flight, c *connection, err error) {
	s.mu.Lock()
	f.connection, f.err = c, err
	s.flight, s.connection = nil, c
	s.mu.Unlock()
	close(f.done)
}

// enter waits for a place to use a session.
func (s *Source) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("gave up waiting for a session: %w", ctx.Err())
	case <-s.closed:
		return ErrClosed
	}
	select {
	case <-s.closed: // Close may be collecting the places
		s.leave()
		return ErrClosed
	default:
		return nil
	}
}

func (s *Source) leave() { <-s.places }

// connect finds the token, logs in and reads what is needed.
func (s *Source) connect(ctx context.Context) (*connection, error) {
	api, err := s.loaded()
	if err != nil {
		return nil, err
	}
	s.closeLeftover(api)
	t, err := findToken(api, &s.cfg)
	if err != nil {
		return nil, err
	}
	session, err := api.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, call("C_OpenSession", err)
	}
	found, err := guarded(func() (*pair, error) { return s.enterToken(ctx, api, t, session) })
	if err != nil {
		s.keepLeftover(session, err)
		s.closeLeftover(api)
		return nil, err
	}
	return &connection{api: api, slot: t.slot, pair: found, idle: []p11.SessionHandle{session}}, nil
}

// enterToken logs in and reads key and certificate.
func (s *Source) enterToken(ctx context.Context, api cryptoki, t token, session p11.SessionHandle) (*pair, error) {
	if err := s.login(ctx, api, t, session); err != nil {
		return nil, err
	}
	return s.read(objects{api, session})
}

// loaded is the module, ready for use.
func (s *Source) loaded() (cryptoki, error) {
	s.mu.Lock()
	api := s.api
	s.mu.Unlock()
	if api != nil {
		return api, s.library.revive()
	}
	ctx, err := s.library.use()
	if err != nil {
		return nil, err
	}
	s.mu.Lock() // there is one flight, so no other call loads
	s.api = s.wrap(ctx)
	api = s.api
	s.mu.Unlock()
	return api, nil
}

// lose forgets a connection, this one and no newer one.
func (s *Source) lose(lost *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == lost {
		s.connection = nil
	}
	s.leftover = append(s.leftover, lost.idle...)
	lost.idle = nil
}

// keepLeftover notes a session to be closed, unless it is gone.
func (s *Source) keepLeftover(session p11.SessionHandle, err error) {
	if isGone(err) {
		return
	}
	s.mu.Lock()
	s.leftover = append(s.leftover, session)
	s.mu.Unlock()
}

// closeLeftover closes what lost connections have left, before new sessions are
// opened: a module may give their numbers out again.
func (s *Source) closeLeftover(api cryptoki) {
	s.mu.Lock()
	handles := s.leftover
	s.leftover = nil
	s.mu.Unlock()
	for _, handle := range handles {
		_ = api.CloseSession(handle) // most are gone already
	}
}

func (s *Source) pairOf(c *connection) *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.pair
}
