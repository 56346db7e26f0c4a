package spiffe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/certtoken/certtoken"
)

// patience is how long a caller who could have the last good SVID waits for a newer one.
const patience = time.Second

// JWTSource is the [certtoken.AssertionSource] of JWT-SVIDs. It asks the agent for one with
// the audience that a server wants, and keeps that for half of its life, as SPIRE's agent
// does. Then it asks again; while the agent is away, the last good SVID is sent within its
// validity. If the agent takes the identity back, it isn't sent any more, for whatever
// audience. A server that refuses an SVID (invalid_client) gets the same one until half of
// its life is over: the agent keeps SVIDs too, so asking it again would give no other.
//
// All callers for an audience wait for one request. A JWTSource may be used from many
// goroutines. It has goroutines of its own from its first use until [JWTSource.Close]. Make
// one with [NewJWTSource].
type JWTSource struct {
	cfg   config
	dial  func(*config) (agent, error)
	svids *audiences

	mu    sync.Mutex
	agent agent // nil before the first use
}

var _ certtoken.AssertionSource = (*JWTSource)(nil)

// NewJWTSource makes a source of the JWT-SVIDs that the agent signs for this process. It
// does no I/O, and its error holds every mistake in the options at once.
func NewJWTSource(opts ...Option) (*JWTSource, error) {
	cfg := newConfig(opts)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.assertionType == "" {
		cfg.assertionType = typeJWTBearer
	}
	s := &JWTSource{cfg: cfg, dial: dial}
	s.svids = newAudiences(s.ask)
	return s, nil
}

// Assertion returns a JWT-SVID for an audience. If there is one that can be used, it waits for
// a newer one until the agent has been asked for a second, and not at all while the agent is
// away. Otherwise it waits until the context or [WithTimeout]'s time ends. Errors wrap the
// sentinels of this package and of certtoken.
func (s *JWTSource) Assertion(ctx context.Context, audience string) (string, error) {
	if audience == "" {
		return "", errors.New("spiffe: no audience: a JWT-SVID is for one")
	}
	known, flight, err := s.svids.look(audience)
	if err != nil {
		return "", err
	}
	now := time.Now()
	if flight == nil {
		return known.token(now)
	}
	var limit <-chan time.Time
	if known.usable(now) {
		rest := flight.begun.Add(patience).Sub(now)
		if known.err != nil || rest <= 0 {
			return known.token(now)
		}
		timer := time.NewTimer(rest)
		defer timer.Stop()
		limit = timer.C
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.timeout, errSilent)
	defer cancel()
	select {
	case <-flight.done:
		return flight.outcome.token(time.Now())
	case <-limit:
	case <-ctx.Done():
	}
	known = s.svids.recall(flight)
	if ctx.Err() == nil || known.usable(time.Now()) {
		return known.token(time.Now())
	}
	return "", gaveUp(ctx, &s.cfg, "a JWT-SVID", known.err)
}

// Wait waits until there is a JWT-SVID for an audience. Unlike [JWTSource.Assertion] it goes on
// through failures until the context ends: for a program that starts together with its
// agent, or before its registration has reached that. The error tells the last failure.
func (s *JWTSource) Wait(ctx context.Context, audience string) error {
	for {
		_, err := s.Assertion(ctx, audience)
		gaveUpAlready := ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
		if err == nil || audience == "" || errors.Is(err, ErrClosed) || gaveUpAlready {
			return err
		}
		select {
		case <-time.After(minPause):
		case <-ctx.Done():
			return gaveUp(ctx, &s.cfg, "a JWT-SVID", err)
		}
	}
}

// AssertionType is the client_assertion_type of the SVIDs: that of JWTs (RFC 7523), or with
// [WithJWTSPIFFE] jwt-spiffe.
func (s *JWTSource) AssertionType() string { return s.cfg.assertionType }

// Health returns why the agent's last answer had no SVID, or nil. It asks nobody. A source
// that isn't healthy may still have a good SVID.
func (s *JWTSource) Health() error { return s.svids.health() }

// Close ends the connection to the agent, and waits for the source's goroutines. Callers that
// wait get [ErrClosed], as later ones do. Later calls of Close return nil.
func (s *JWTSource) Close() error {
	if !s.svids.close() {
		return nil
	}
	s.mu.Lock()
	agent := s.agent
	s.mu.Unlock()
	if agent == nil {
		return nil
	}
	if err := agent.Close(); err != nil {
		return fmt.Errorf("spiffe: closing the connection to %s: %w", s.cfg.address, err)
	}
	return nil
}

// String names the source by the agent's address and the SVID that was asked for.
func (s *JWTSource) String() string { return s.cfg.name("JWTSource") }

// Format prints s as String does whatever the verb, so that none walks into an SVID.
func (s *JWTSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *JWTSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

// ask asks the agent for an SVID.
func (s *JWTSource) ask(ctx context.Context, audience string) (*jwtsvid.SVID, error) {
	agent, err := s.connection()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxAnswer)
	defer cancel()
	svids, err := agent.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: audience, Subject: s.cfg.id})
	if err != nil {
		return nil, explain(&s.cfg, err)
	}
	i, err := choose(&s.cfg, jwtIdentities(svids))
	if err != nil {
		return nil, err
	}
	return svids[i], nil
}

// connection is that to the agent. The first call makes it.
func (s *JWTSource) connection() (agent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agent == nil {
		agent, err := s.dial(&s.cfg) // no I/O
		if err != nil {
			return nil, fmt.Errorf("spiffe: %s: %w", s.cfg.address, err)
		}
		s.agent = agent
	}
	return s.agent, nil
}
