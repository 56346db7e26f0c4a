package keyvault

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken"
)

const (
	refusedFor = 10 * time.Minute // that a version which the endpoint refused stands back

	minPause     = 30 * time.Second // after a failure behind the callers, doubling
	maxPause     = 5 * time.Minute
	minColdPause = time.Second // after one that callers wait for, doubling
	maxColdPause = 10 * time.Second
)

// pair is one version of the certificate.
type pair struct {
	version string
	cert    *certtoken.Certificate
	sum     [sha256.Size]byte // of the certificate
}

func newPair(version string, cert *certtoken.Certificate) *pair {
	return &pair{version: version, cert: cert, sum: sha256.Sum256(cert.Leaf.Raw)}
}

// state is what is known of the vault. It is never changed, only replaced.
type state struct {
	current  *pair // the newest good one; nil: none yet
	previous *pair // which current replaced, or nil
	err      error // why the vault's newest isn't current

	asked    time.Time // last
	next     time.Time // from when on the vault is asked again
	failures int       // in a row

	refused      [sha256.Size]byte // by the token endpoint
	refusedUntil time.Time
}

func (s *state) answered() bool { return !s.asked.IsZero() }

// inUse is the pair that signs, valid or not, or nil.
func (s *state) inUse(now time.Time) *pair {
	if s.current != nil && s.previous != nil && s.standsBack(s.current, now) && validity(s.previous.cert, now) == nil {
		return s.previous
	}
	return s.current
}

func (s *state) standsBack(p *pair, now time.Time) bool {
	return now.Before(s.refusedUntil) && s.refused == p.sum
}

// without is what a caller gets while there is no valid pair and the vault isn't
// to be asked. A pair that the vault itself has no better one for is handed out:
// whoever signs with it gets to know what is wrong with it.
func (s *state) without(now time.Time) (*certtoken.Certificate, error) {
	switch {
	case s.current == nil:
		return nil, s.err
	case s.err == nil || isValidity(s.err):
		return s.current.cert, nil
	}
	return nil, fmt.Errorf("%w, and no newer version could be had: %w", validity(s.current.cert, now), s.err)
}

// after is the state when the vault was asked.
func (s *state) after(got *pair, err error, interval time.Duration, now time.Time) *state {
	next := *s
	next.asked = now
	if err == nil {
		err = validity(got.cert, now)
		if err == nil || s.current == nil || validity(s.current.cert, now) != nil {
			next.take(got)
		}
	}
	next.err = err
	if err == nil {
		next.failures = 0
		next.next = now.Add(interval)
		return &next
	}
	next.next = now.Add(min(next.pause(now), interval))
	next.failures++
	if got != nil && got.cert.Leaf.NotBefore.After(now) && got.cert.Leaf.NotBefore.Before(next.next) {
		next.next = got.cert.Leaf.NotBefore
	}
	return &next
}

func (s *state) take(p *pair) {
	if s.current != nil && s.current.sum != p.sum {
		s.previous = s.current
	}
	s.current = p
}

// pause is how long the vault is left alone after a failure.
func (s *state) pause(now time.Time) time.Duration {
	first, limit := minPause, maxPause
	if p := s.inUse(now); p == nil || validity(p.cert, now) != nil {
		first, limit = minColdPause, maxColdPause
	}
	return min(first<<min(s.failures, 10), limit)
}

// refuse is the state when the token endpoint refused a certificate.
func (s *state) refuse(refused *certtoken.Certificate, now time.Time) *state {
	next := *s
	if refused != nil && refused.Leaf != nil {
		next.refused = sha256.Sum256(refused.Leaf.Raw)
		next.refusedUntil = now.Add(refusedFor)
	}
	return &next
}

// validity says why a certificate can't sign now.
func validity(cert *certtoken.Certificate, now time.Time) error {
	leaf := cert.Leaf
	switch err := cert.Valid(now); {
	case errors.Is(err, certtoken.ErrExpired):
		return fmt.Errorf("keyvault: %w: %q ended on %s; renew it in the vault",
			certtoken.ErrExpired, leaf.Subject, leaf.NotAfter.UTC().Format(time.RFC3339))
	case errors.Is(err, certtoken.ErrNotYetValid):
		return fmt.Errorf("keyvault: %w: %q is valid from %s; check the clock of this machine",
			certtoken.ErrNotYetValid, leaf.Subject, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func isValidity(err error) bool {
	return errors.Is(err, certtoken.ErrExpired) || errors.Is(err, certtoken.ErrNotYetValid)
}
