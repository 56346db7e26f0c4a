package keyvault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is a question to the vault under way.
type flight struct {
	done chan struct{}
}

var errEnded = errors.New("keyvault: the credential or a policy ended its goroutine")

// join returns the question under way, or starts one unless the vault was
// answered since the caller looked; then it returns nil.
func (s *Source) join(ctx context.Context, seen *state) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight
	}
	if !s.state.Load().asked.Equal(seen.asked) {
		return nil
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	// One caller's cancellation fails no other, and the answer is kept even when
	// all have left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.timeout)
	go func() {
		defer cancel()
		s.fly(ctx, f)
	}()
	return f
}

// fly asks the vault and publishes what came of it, also when a user's
// credential panics.
func (s *Source) fly(ctx context.Context, f *flight) {
	known := s.state.Load().current
	var got *pair
	err := errEnded
	defer func() {
		if p := recover(); p != nil { // what it says could be a secret
			got, err = nil, fmt.Errorf("keyvault: %s: the credential or a policy panicked with a %T", s.name, p)
		}
		s.land(f, got, err)
	}()
	if err = s.throttle.check(); err == nil {
		got, err = s.load.load(ctx, known)
	}
}

func (s *Source) land(f *flight, got *pair, err error) {
	s.mu.Lock()
	s.state.Store(s.state.Load().after(got, err, s.cfg.interval, time.Now()))
	s.flight = nil
	s.mu.Unlock()
	close(f.done)
}

// wait waits for a flight; nil is one that has landed.
func (s *Source) wait(ctx context.Context, f *flight) error {
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("keyvault: gave up waiting for %s: %w", s.name, context.Cause(ctx))
	}
}
