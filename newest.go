package certtoken

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// refusedFor is how long a certificate that an endpoint refused stands back
// behind the others: long enough for a registration to spread, short enough
// that the newer one is tried before the older one ends.
const refusedFor = 10 * time.Minute

// NewestValid joins sources for the time of a rotation, in which the new
// certificate isn't registered everywhere yet. It uses the certificate that is
// valid and has the latest NotBefore; one that the endpoint refused stands back
// for ten minutes. A source that fails is passed over while another works. The
// result is a [Reloader] and has a method Health() error, which joins those of
// its sources; it may be used from many goroutines.
func NewestValid(sources ...CertSource) CertSource {
	return &newestValid{sources: sources, refused: make(map[[32]byte]time.Time)}
}

type newestValid struct {
	sources []CertSource

	mu      sync.Mutex
	refused map[[32]byte]time.Time // by SHA-256: until when it stands back
}

var _ Reloader = (*newestValid)(nil)

// Certificate returns the best candidate.
func (n *newestValid) Certificate(ctx context.Context) (*Certificate, error) {
	var best *Certificate
	var errs []error
	now := time.Now()
	for i, source := range n.sources {
		cert, err := checked(ctx, source)
		if err == nil {
			err = public(cert.usable(now))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("source %d: %w", i+1, partError(err)))
			continue
		}
		if best == nil || n.better(cert, best, now) {
			best = cert
		}
	}
	if best != nil {
		return best, nil
	}
	if len(errs) == 0 {
		return nil, errors.New(prefix + "NewestValid has no source")
	}
	return nil, public(errors.Join(errs...))
}

// checked asks a source and makes sure of its pair.
func checked(ctx context.Context, source CertSource) (*Certificate, error) {
	if source == nil {
		return nil, public(errors.New("the source is nil"))
	}
	cert, err := source.Certificate(ctx)
	if err != nil {
		return nil, err
	}
	_, err = cert.publicKey()
	return cert, public(err)
}

func (n *newestValid) better(a, b *Certificate, now time.Time) bool {
	if x, y := n.standsBack(a, now), n.standsBack(b, now); x != y {
		return y
	}
	return a.Leaf.NotBefore.After(b.Leaf.NotBefore)
}

func (n *newestValid) standsBack(c *Certificate, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.refused[c.sha256()])
}

// Health joins what the sources say of theirs.
func (n *newestValid) Health() error {
	var errs []error
	for _, source := range n.sources {
		if s, ok := source.(interface{ Health() error }); ok {
			errs = append(errs, partError(s.Health()))
		}
	}
	return public(errors.Join(errs...))
}

// Reload notes which certificate was refused and has the sources reload too.
func (n *newestValid) Reload(ctx context.Context, refused *Certificate) error {
	if _, err := refused.publicKey(); err != nil {
		return public(err)
	}
	now := time.Now()
	n.mu.Lock()
	for sum, until := range n.refused { // what is over needs no place
		if now.After(until) {
			delete(n.refused, sum)
		}
	}
	n.refused[refused.sha256()] = now.Add(refusedFor)
	n.mu.Unlock()

	var errs []error
	for _, source := range n.sources {
		if r, ok := source.(Reloader); ok {
			errs = append(errs, partError(r.Reload(ctx, refused)))
		}
	}
	return public(errors.Join(errs...))
}
