package certsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/single"
)

const (
	// reloadPause is how long ago load must have been called for [Source.Reload] to call
	// it again. Without it, an endpoint that refuses every certificate would have the
	// place where they are kept asked again for each token request.
	reloadPause = 10 * time.Second

	// grace is how much longer callers wait than load may take. A load that obeys its
	// context thus has the time to say what it waited for.
	grace = time.Second
)

// Source is a [certtoken.CertSource] that calls a function and keeps what that returned. From
// the refresh interval on, one caller starts a new call behind it. A certificate that has
// expired, isn't valid yet or doesn't match its key doesn't replace a good one, and neither
// does an error: the last good certificate stays in use, and [Source.Health] says why.
//
// After a failure there is a pause before the function is called again: of 30 seconds that
// double up to 5 minutes, or, where there is no valid certificate and callers wait, of 1
// second that doubles up to 10. When the certificate in use expires, the function is called at
// once, whatever the interval and the pause.
//
// A Source may be used from many goroutines. It has no goroutine but that of a call, and
// there is nothing to close. Make one with [New].
type Source struct {
	name string
	cfg  config
	load Load

	caller single.Caller[struct{}]
	state  atomic.Pointer[state]
	mu     sync.Mutex // held for replacing the state
}

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

// New makes a source of a function. The name stands before the text of every error, and
// says where the certificate is kept. Nothing is loaded before the first use. The error
// holds every mistake at once.
func New(name string, load Load, opts ...Option) (*Source, error) {
	cfg := newConfig(opts)
	if err := cfg.validate(name, load); err != nil {
		return nil, err
	}
	s := &Source{name: name, cfg: cfg, load: load}
	s.state.Store(&state{})
	return s, nil
}

// Certificate returns the certificate in use. It waits for a call of the function only
// while there is no valid certificate, until the context ends or for a second more than the
// call may take. An expired one is returned if the function had no better: the error of
// signing says what is wrong with it. Errors are those of the function, bounded and
// without what is shaped like a token; [errors.Is] and [errors.As] see through that.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	for {
		now, known := time.Now(), s.state.Load()
		if known.hasValid(now) {
			if s.isDue(known, now) {
				s.ask(context.Background(), known.answers+1)
			}
			return known.inUse(now), nil
		}
		if known.answers > 0 && !s.isDue(known, now) {
			cert, err := known.withoutValid(now)
			return cert, s.named(err)
		}
		if err := s.wait(ctx, s.ask(ctx, known.answers+1)); err != nil {
			return nil, err
		}
	}
}

// Reload calls the function at once, unless it was called within the last 10 seconds or is
// never called again, and returns why what it loaded can't be used, if so. A call that was
// under way before may bring what was refused: Reload waits for it and then for another. If the
// certificate that was refused is still the newest, the one before it is used for the next
// 10 minutes, if this Source has had one and it is valid: long enough for the registration
// of a new one to spread.
func (s *Source) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	known := s.change(func(known *state) *state { return known.refuse(refused) })
	if known.answers > 0 && time.Since(known.asked) < reloadPause {
		return s.named(known.newest(time.Now()))
	}
	for wanted := known.calls + 1; known.answers < wanted && !s.isFixed(known); known = s.state.Load() {
		if err := s.wait(ctx, s.ask(ctx, wanted)); err != nil {
			return err
		}
	}
	return s.named(known.newest(time.Now()))
}

// Health returns why the newest certificate isn't in use or couldn't be loaded, or nil. It
// calls nothing: it reports what the last call found, and nil before the first. A source
// that isn't healthy may still work with its last good certificate.
func (s *Source) Health() error {
	if age := s.caller.Age(); age > s.patience() {
		return s.named(fmt.Errorf("%w: under way for %v", single.ErrNoAnswer, age.Round(time.Second)))
	}
	return s.named(s.state.Load().health(time.Now()))
}

// String names the source.
func (s *Source) String() string { return "certsource.Source(" + s.name + ")" }

// Format prints s as String does, whatever the verb, so that none walks into what the
// function holds.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// isFixed reports whether what is known never changes.
func (s *Source) isFixed(known *state) bool { return s.cfg.noRefresh && known.current != nil }

// isDue reports whether the function is to be called again.
func (s *Source) isDue(known *state, now time.Time) bool {
	return !s.isFixed(known) && (!now.Before(known.next) || known.lapsed(now))
}

// patience is how long a call is waited for.
func (s *Source) patience() time.Duration { return s.cfg.timeout + grace }

// ask calls the function, unless a call is under way, or the answer that is wanted has come
// since the caller looked at the state: that to the first call, the second, and so on.
func (s *Source) ask(ctx context.Context, wanted int) *single.Call[struct{}] {
	// A caller that leaves ends no call that others wait for, and its result is kept.
	ctx = context.WithoutCancel(ctx)
	call, _ := s.caller.Start(func() (struct{}, error) {
		if known := s.state.Load(); known.answers < wanted && !s.isFixed(known) {
			s.call(ctx)
		}
		return struct{}{}, nil
	})
	return call
}

// call calls the function and notes its answer.
func (s *Source) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.timeout)
	defer cancel()
	began, known := time.Now(), s.change((*state).begun)
	var cert *certtoken.Certificate
	err := errEnded
	defer func() {
		s.change(func(known *state) *state { return known.after(cert, err, began, s.cfg.interval) })
	}()
	cert, err = s.load.call(ctx, known.current)
}

// wait waits for a call to end. What it loaded is in the state by then.
func (s *Source) wait(ctx context.Context, call *single.Call[struct{}]) error {
	_, err := call.Wait(ctx, s.patience())
	switch {
	case call.Ended():
		return nil
	case errors.Is(err, single.ErrNoAnswer):
		return s.named(err)
	}
	return s.named(fmt.Errorf("gave up waiting: %w", err))
}

// change replaces the state by the one that follows from it, and returns that.
func (s *Source) change(follow func(*state) *state) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := follow(s.state.Load())
	s.state.Store(next)
	return next
}

// named says of which source an error is, and makes its text fit for a log.
func (s *Source) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.name, redact.Error(inner(err)))
}
