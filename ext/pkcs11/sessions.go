package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// errNoMoreSessions is that a place was given up.
var errNoMoreSessions = errors.New("the token has no more sessions")

// do has the token do something in a session that no other call uses meanwhile, as
// PKCS #11 demands. If it turns out that the connection was lost, a new one is
// opened and the work done again, once. The caller leaves when its context ends;
// the call of the module can't be broken off, and holds its place until it is back.
func do[T any](ctx context.Context, s *Source, work func(*connection, p11.SessionHandle) (T, error)) (T, error) {
	var none T
	again := true
	for {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		c, err := s.acquire(ctx)
		if err != nil {
			return none, err
		}
		type result struct {
			value T
			err   error
		}
		done := make(chan result, 1)
		go func() {
			r := result{err: errEnded}
			defer func() { done <- r }()
			r.value, r.err = guarded(func() (T, error) { return inSession(s, c, work) })
		}()
		select {
		case r := <-done:
			if errors.Is(r.err, errNoMoreSessions) {
				continue
			}
			if r.err == nil || !again || !isLost(r.err) {
				return r.value, r.err
			}
			again = false
		case <-ctx.Done():
			return none, fmt.Errorf("gave up waiting for the token: %w", ctx.Err())
		}
	}
}

// acquire returns the connection together with a place to use it.
func (s *Source) acquire(ctx context.Context) (*connection, error) {
	for {
		c, err := s.connected(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		current := s.connection == c
		s.mu.Unlock()
		if current {
			return c, nil
		}
		s.leave() // it was lost while this caller waited for a place
	}
}

// inSession takes an idle session or opens one, and leaves the caller's place.
func inSession[T any](s *Source, c *connection, work func(*connection, p11.SessionHandle) (T, error)) (T, error) {
	var none T
	session, err := s.session(c)
	if answered(err, noMoreSessions) && s.giveUpPlace() {
		return none, errNoMoreSessions
	}
	defer s.leave()
	if err != nil {
		if isLost(err) {
			s.lose(c)
		}
		return none, err
	}
	value, err := guarded(func() (T, error) { return work(c, session) })
	s.putBack(c, session, err)
	return value, err
}

// session takes an idle session, else opens one.
func (s *Source) session(c *connection) (p11.SessionHandle, error) {
	s.mu.Lock()
	if n := len(c.idle); n > 0 {
		session := c.idle[n-1]
		c.idle = c.idle[:n-1]
		s.mu.Unlock()
		return session, nil
	}
	s.mu.Unlock()
	session, err := c.api.OpenSession(c.slot, p11.CKF_SERIAL_SESSION)
	return session, call("C_OpenSession", err)
}

// putBack makes a session idle again, or gives its connection up.
func (s *Source) putBack(c *connection, session p11.SessionHandle, err error) {
	if isLost(err) {
		s.lose(c)
		s.keepLeftover(session, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == c {
		c.idle = append(c.idle, session)
	} else {
		s.leftover = append(s.leftover, session)
	}
}

// giveUpPlace keeps the place of a session that the token has no room for, so
// that fewer are asked for from now on; callers then wait for those there are.
// The last place isn't given up.
func (s *Source) giveUpPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed: // Close counts the places
		return false
	default:
	}
	if s.givenUp >= cap(s.places)-1 {
		return false
	}
	s.givenUp++
	return true
}
