package certsource

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken"
)

const (
	refusedFor = 10 * time.Minute // that a certificate which the endpoint refused stands back

	minPause     = 30 * time.Second // after a failure behind the callers, doubling
	maxPause     = 5 * time.Minute
	minColdPause = time.Second // after one that callers wait for, doubling
	maxColdPause = 10 * time.Second
)

// state is what is known. It is never changed, only replaced.
type state struct {
	current  *certtoken.Certificate // the newest good one; nil: none yet
	previous *certtoken.Certificate // which current replaced, or nil
	err      error                  // why the newest isn't current; what is wrong with current changes with time

	calls    int       // of the function that have begun; at most one has no answer yet
	answers  int       // how often it has answered
	asked    time.Time // when the call began that was answered last
	answered time.Time // when that was
	next     time.Time // from when on the function is called again
	failures int       // in a row

	refused      *certtoken.Certificate // by the token endpoint
	refusedUntil time.Time
}

// inUse is the certificate that signs, valid or not, or nil.
func (s *state) inUse(now time.Time) *certtoken.Certificate {
	if s.previous != nil && s.standsBack(now) && validity(s.previous, now) == nil {
		return s.previous
	}
	return s.current
}

// hasValid reports whether there is a certificate that can sign at a time.
func (s *state) hasValid(at time.Time) bool {
	cert := s.inUse(at)
	return cert != nil && validity(cert, at) == nil
}

// lapsed reports whether the certificate in use has expired since the function answered. Then
// neither the interval nor a pause is waited for: a renewed one may long be there.
func (s *state) lapsed(now time.Time) bool { return s.hasValid(s.answered) && !s.hasValid(now) }

// standsBack reports whether the current certificate was refused a short time ago.
func (s *state) standsBack(now time.Time) bool {
	return now.Before(s.refusedUntil) && isSame(s.refused, s.current)
}

// withoutValid is what a caller gets while there is no valid certificate and the function
// isn't to be called.
func (s *state) withoutValid(now time.Time) (*certtoken.Certificate, error) {
	switch {
	case s.current == nil:
		return nil, s.err
	case s.err == nil:
		return s.current, nil
	}
	return nil, fmt.Errorf("%w, and no newer one could be had: %w", validity(s.current, now), s.err)
}

// newest says why the newest certificate can't be used.
func (s *state) newest(now time.Time) error {
	if s.err != nil || s.current == nil {
		return s.err
	}
	return validity(s.current, now)
}

// health says why the newest certificate isn't in use.
func (s *state) health(now time.Time) error {
	if err := s.newest(now); err != nil {
		return err
	}
	if cert := s.inUse(now); cert != s.current {
		return fmt.Errorf("the token endpoint refused %v; %v is used until %s",
			s.current, cert, s.refusedUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

// begun is the state when the function is being called.
func (s *state) begun() *state {
	next := *s
	next.calls++
	return &next
}

// after is the state when the function has answered a call that began at a time.
func (s *state) after(got *certtoken.Certificate, err error, began time.Time, interval time.Duration) *state {
	now := time.Now()
	next := *s
	next.asked, next.answered = began, now
	next.answers++
	next.err = err
	if err == nil {
		err = validity(got, now)
		if err == nil || s.current == nil || validity(s.current, now) != nil {
			next.take(got)
		} else {
			next.err = err
		}
	}
	if err == nil {
		next.failures = 0
		next.next = now.Add(interval)
		return &next
	}
	next.next = now.Add(min(next.pause(now), interval))
	next.failures++
	if errors.Is(err, certtoken.ErrNotYetValid) && got != nil && got.Leaf.NotBefore.Before(next.next) {
		next.next = got.Leaf.NotBefore
	}
	return &next
}

// take makes a certificate the current one.
func (s *state) take(cert *certtoken.Certificate) {
	if s.current != nil && !isSame(s.current, cert) {
		s.previous = s.current
	}
	s.current = cert
}

// pause is how long the function isn't called after a failure.
func (s *state) pause(now time.Time) time.Duration {
	first, limit := minPause, maxPause
	if !s.hasValid(now) {
		first, limit = minColdPause, maxColdPause
	}
	return min(first<<min(s.failures, 10), limit)
}

// refuse is the state when the token endpoint refused a certificate.
func (s *state) refuse(refused *certtoken.Certificate) *state {
	next := *s
	if refused != nil {
		next.refused, next.refusedUntil = refused, time.Now().Add(refusedFor)
	}
	return &next
}

// validity says why a certificate can't sign now. A key alone always can.
func validity(cert *certtoken.Certificate, now time.Time) error {
	switch err := cert.Valid(now); {
	case errors.Is(err, certtoken.ErrExpired):
		return fmt.Errorf("%w: %q ended on %s; renew it there",
			certtoken.ErrExpired, cert.Leaf.Subject, cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case errors.Is(err, certtoken.ErrNotYetValid):
		return fmt.Errorf("%w: %q is valid from %s; check the clock of this machine",
			certtoken.ErrNotYetValid, cert.Leaf.Subject, cert.Leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// isSame reports whether both are the same certificate, or the same key with the same id.
func isSame(a, b *certtoken.Certificate) bool {
	switch {
	case a == nil || b == nil || (a.Leaf == nil) != (b.Leaf == nil):
		return false
	case a.Leaf != nil:
		return bytes.Equal(a.Leaf.Raw, b.Leaf.Raw)
	case a.Signer == nil || b.Signer == nil:
		return false
	}
	pub, ok := a.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && a.KeyID == b.KeyID && pub.Equal(b.Signer.Public())
}
