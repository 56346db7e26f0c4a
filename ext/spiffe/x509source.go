package spiffe

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
)

// recheck is how often [X509Source.Wait] looks whether an SVID has become valid. It doesn't
// count the time until then, because the clock may be set meanwhile.
const recheck = time.Second

// X509Source is the [certtoken.CertSource] of an X.509-SVID. At its first use it opens a
// stream to the agent, which sends a new SVID whenever it has one, long before the one
// before ends. While the agent is away, the last good SVID is used within its validity,
// and [X509Source.Health] tells. If the agent takes the identity back, the SVID isn't
// used any more; an answer that doesn't list its SPIFFE ID any more takes it back too.
//
// An X509Source may be used from many goroutines. It has goroutines of its own from its
// first use until [X509Source.Close]. Make one with [NewX509Source].
type X509Source struct {
	cfg  config
	dial func(*config) (agent, error)

	mu     sync.Mutex // guards what follows; never held over I/O
	known  standing
	news   chan struct{} // closed when known changes, and by Close
	closed bool

	// The goroutine that follows the agent. They are nil before the first use.
	agent   agent
	cancel  context.CancelFunc
	stopped chan struct{} // closed when it has ended
}

var _ certtoken.CertSource = (*X509Source)(nil)

// NewX509Source makes a source of the X.509-SVID that the agent has for this process. It
// does no I/O, and its error holds every mistake in the options at once.
func NewX509Source(opts ...Option) (*X509Source, error) {
	cfg := newConfig(opts)
	if cfg.assertionType != "" {
		cfg.fail("WithJWTSPIFFE is for NewJWTSource: an X.509-SVID is no assertion")
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &X509Source{cfg: cfg, dial: dial, news: make(chan struct{})}, nil
}

// Certificate returns the SVID in use. Only while there is none that is valid does it wait
// for what the agent answers, until the context or [WithTimeout]'s time ends. What the agent
// has refused, or a connection that fails, is an error at once; the agent is asked again
// behind the callers. Errors wrap the sentinels of this package and of certtoken.
func (s *X509Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	known, news, err := s.look()
	if err != nil {
		return nil, err
	}
	if cert, err := known.inUse(time.Now()); cert != nil || err != nil {
		return cert, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.timeout, errSilent)
	defer cancel()
	for {
		select {
		case <-news:
		case <-ctx.Done():
			return nil, s.gaveUp(ctx, known)
		}
		if known, news, err = s.look(); err != nil {
			return nil, err
		}
		if cert, err := known.inUse(time.Now()); cert != nil || err != nil {
			return cert, err
		}
	}
}

// Wait waits until there is an SVID. Unlike [X509Source.Certificate] it goes on through
// failures until the context ends: for a program that starts together with its agent, or
// before its registration has reached that. It waits for the beginning of an SVID that isn't
// valid yet too. The error tells the last failure.
func (s *X509Source) Wait(ctx context.Context) error {
	for {
		known, news, err := s.look()
		if err != nil {
			return err
		}
		if cert, _ := known.inUse(time.Now()); cert != nil {
			return nil
		}
		select {
		case <-news:
		case <-time.After(recheck):
		case <-ctx.Done():
			return s.gaveUp(ctx, known)
		}
	}
}

// Health returns why the SVID in use may not be the newest, or why there is none: the agent
// can't be reached, has refused, or has sent what can't be used. It asks nobody, and is nil
// before the first use. A source that isn't healthy may still work with its last good SVID.
func (s *X509Source) Health() error {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	return known.trouble(time.Now())
}

// Close ends the connection to the agent, and waits for the source's goroutine. Callers that
// wait get [ErrClosed], as later ones do. Later calls of Close return nil.
func (s *X509Source) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.news)
	agent, stopped := s.agent, s.stopped
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	if agent == nil {
		return nil
	}
	<-stopped
	if err := agent.Close(); err != nil {
		return fmt.Errorf("spiffe: closing the connection to %s: %w", s.cfg.address, err)
	}
	return nil
}

// String names the source by the agent's address and the SVID that was asked for.
func (s *X509Source) String() string { return s.cfg.name("X509Source") }

// Format prints s as String does whatever the verb, so that none walks into the key.
func (s *X509Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *X509Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// look returns what is known and what will be closed when that changes. The first call
// starts the goroutine that follows the agent.
func (s *X509Source) look() (standing, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return standing{}, nil, ErrClosed
	}
	if s.agent == nil {
		agent, err := s.dial(&s.cfg) // no I/O
		if err != nil {
			return standing{}, nil, fmt.Errorf("spiffe: %s: %w", s.cfg.address, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		s.agent, s.cancel, s.stopped = agent, cancel, stopped
		go func() {
			defer close(stopped)
			follower{&s.cfg, s.learn}.follow(ctx, agent)
		}()
	}
	return s.known, s.news, nil
}

// learn replaces what is known, and wakes those who wait for it.
func (s *X509Source) learn(change func(standing) standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.known = change(s.known)
	close(s.news)
	s.news = make(chan struct{})
}

// gaveUp is the error of a caller who has waited in vain.
func (s *X509Source) gaveUp(ctx context.Context, known standing) error {
	return gaveUp(ctx, &s.cfg, "an SVID", known.trouble(time.Now()))
}
