package certtoken

import (
	"context"
	"errors"
	"sync"
	"time"
)

// NewestValid joins sources during a rotation, while the new certificate isn't
// registered everywhere yet. Of the certificates that are valid it uses the one with
// the latest NotBefore. A certificate that the endpoint refused isn't used for ten
// minutes while there is another. A source that fails is left out while another works. A
// key without a certificate has no NotBefore and counts as the oldest; of several keys the
// one of the first source is used.
//
// The sources are asked at the same time. If one doesn't answer within two seconds, its
// last answer is used or, without one, it is left out, provided that there is another
// good certificate. Without any, it is waited for up to 16 seconds. A late answer is
// used for later calls, and the source isn't asked again before it has answered. The
// context that a source is given ends after 16 seconds and not when the caller leaves,
// because others may wait for the same answer. So a source may be at work for up to 16
// seconds after everybody has left, also after [Client.Close], which doesn't wait for it.
//
// The result is a [Reloader] and has a method Health() error, which joins the errors of
// its sources and names those that don't answer. It may be used from many goroutines.
func NewestValid(sources ...CertSource) CertSource {
	n := &newestValid{refused: make(map[[32]byte]time.Time)}
	for i, source := range sources {
		n.members = append(n.members, &member{number: i + 1, source: source})
	}
	return n
}

type newestValid struct {
	members []*member

	mu      sync.Mutex
	refused map[[32]byte]time.Time // SHA-256 of a certificate: until when others go first
}

var _ Reloader = (*newestValid)(nil)

// Certificate returns the best candidate.
func (n *newestValid) Certificate(ctx context.Context) (*Certificate, error) {
	if len(n.members) == 0 {
		return nil, public(errors.New("NewestValid has no source"))
	}
	asked := make([]*question, len(n.members))
	for i, m := range n.members {
		asked[i] = m.begin(ctx)
	}
	// Each round waits longer for those that haven't answered, until there is a good
	// certificate. In this way a source that hangs doesn't hide one that is slow.
	for limit := patience; ; limit *= 2 {
		for _, q := range asked {
			q.wait(ctx, limit)
		}
		best, waiting := n.best(asked)
		switch {
		case best != nil:
			return best, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !waiting || limit >= memberLimit:
			return nil, public(failures(asked))
		}
	}
}

// best is the best certificate of the answers so far, or nil. waiting reports whether a
// source hasn't answered yet.
func (n *newestValid) best(asked []*question) (best *Certificate, waiting bool) {
	now := time.Now()
	for _, q := range asked {
		waiting = waiting || !q.answered
		if q.cert != nil && (best == nil || n.better(q.cert, best, now)) {
			best = q.cert
		}
	}
	return best, waiting
}

func failures(asked []*question) error {
	errs := make([]error, len(asked))
	for i, q := range asked {
		errs[i] = q.member.named(q.err)
	}
	return errors.Join(errs...)
}

func (n *newestValid) better(a, b *Certificate, now time.Time) bool {
	if x, y := n.standsBack(a, now), n.standsBack(b, now); x != y {
		return y
	}
	return a.begins().After(b.begins())
}

func (n *newestValid) standsBack(c *Certificate, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.refused[c.sha256()])
}

// Health joins the errors of the sources' Health.
func (n *newestValid) Health() error {
	return public(n.all(func(m *member) error { return m.health() }))
}

// Reload notes which certificate was refused and has the sources reload too.
func (n *newestValid) Reload(ctx context.Context, refused *Certificate) error {
	if err := refused.check(); err != nil {
		return public(err)
	}
	n.standBack(refused)
	return public(n.all(func(m *member) error { return m.reload(ctx, refused) }))
}

func (n *newestValid) standBack(refused *Certificate) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for sum, until := range n.refused {
		if now.After(until) {
			delete(n.refused, sum)
		}
	}
	n.refused[refused.sha256()] = now.Add(standBackTime)
}

// all calls f for all members at once, each of which has a time limit, and joins
// their errors.
func (n *newestValid) all(f func(*member) error) error {
	errs := make([]error, len(n.members))
	var group sync.WaitGroup
	for i, m := range n.members {
		group.Go(func() { errs[i] = f(m) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// Granted tells the sources for which certificate a token was granted.
func (n *newestValid) Granted(cert *Certificate) {
	for _, m := range n.members {
		if s, ok := m.source.(interface{ Granted(*Certificate) }); ok {
			s.Granted(cert)
		}
	}
}
