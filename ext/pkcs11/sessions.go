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
func do[T any](ctx context.Context, p *pool, work func(*connection, p11.SessionHandle) (T, error)) (T, error) {
	var none T
	again := true
	for {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		c, err := p.acquire(ctx)
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
			r.value, r.err = guarded(func() (T, error) { return inSession(p, c, work) })
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
func (p *pool) acquire(ctx context.Context) (*connection, error) {
	for {
		c, err := p.connected(ctx)
		if err != nil {
			return nil, err
		}
		if err := p.enter(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
		current := p.connection == c
		p.mu.Unlock()
		if current {
			return c, nil
		}
		p.leave() // it was lost while this caller waited for a place
	}
}

// inSession takes an idle session or opens one, and leaves the caller's place.
func inSession[T any](p *pool, c *connection, work func(*connection, p11.SessionHandle) (T, error)) (T, error) {
	var none T
	session, err := p.session(c)
	if answered(err, noMoreSessions) && p.giveUpPlace() {
		return none, errNoMoreSessions
	}
	defer p.leave()
	if err != nil {
		if isLost(err) {
			p.lose(c)
		}
		return none, err
	}
	value, err := guarded(func() (T, error) { return work(c, session) })
	p.putBack(c, session, err)
	return value, err
}

// session takes an idle session, else opens one.
func (p *pool) session(c *connection) (p11.SessionHandle, error) {
	p.mu.Lock()
	if n := len(c.idle); n > 0 {
		session := c.idle[n-1]
		c.idle = c.idle[:n-1]
		p.mu.Unlock()
		return session, nil
	}
	p.mu.Unlock()
	session, err := c.api.OpenSession(c.slot, p11.CKF_SERIAL_SESSION)
	return session, call("C_OpenSession", err)
}

// putBack makes a session idle again, or gives its connection up.
func (p *pool) putBack(c *connection, session p11.SessionHandle, err error) {
	if isLost(err) {
		p.lose(c)
		p.keepLeftover(session, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connection == c {
		c.idle = append(c.idle, session)
	} else {
		p.leftover = append(p.leftover, session)
	}
}

// giveUpPlace keeps the place of a session that the token has no room for, so
// that fewer are asked for from now on; callers then wait for those there are.
// The last place isn't given up.
func (p *pool) giveUpPlace() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed: // close counts the places
		return false
	default:
	}
	if p.givenUp >= cap(p.places)-1 {
		return false
	}
	p.givenUp++
	return true
}
