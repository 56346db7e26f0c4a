package certtoken

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/single"
)

const (
	// patience is how long a member is waited for while there is another good
	// certificate, and when it is asked for its health.
	patience = 2 * time.Second

	// memberLimit is how long a member is waited for otherwise. It is shorter than
	// a token request's limit, so that there is time left for the request.
	memberLimit = 16 * time.Second
)

var errSilent = errors.New("the source does not answer")

// member is one of the sources of a [NewestValid]. At most one goroutine calls it at a
// time, because it may hang.
type member struct {
	number int // from 1, as people count
	source CertSource
	caller single.Caller[memberAnswer]
	last   atomic.Pointer[Certificate] // its last answer; nil: none, or an error
}

// memberAnswer is the result of a call of a member.
type memberAnswer struct {
	asked bool // the call was for the certificate, and not to reload or for the health
	cert  *Certificate
}

// named says which source an error is from.
func (m *member) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("source %d: %w", m.number, partError(err))
}

// do calls f when the member is free, and gives both up after the limit.
func (m *member) do(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	_, err := m.caller.Do(ctx, limit, func() (memberAnswer, error) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), memberLimit, errSilent)
		defer cancel()
		return memberAnswer{}, f(ctx)
	})
	if errors.Is(err, single.ErrNoAnswer) {
		err = errSilent
	}
	return err
}

func (m *member) health() error {
	s, ok := m.source.(interface{ Health() error })
	switch {
	case ok:
		err := m.do(context.Background(), patience, func(context.Context) error { return s.Health() })
		if errors.Is(err, errSilent) {
			return m.named(err)
		}
		return partError(err)
	case m.caller.Age() >= patience:
		return m.named(errSilent)
	}
	return nil
}

func (m *member) reload(ctx context.Context, refused *Certificate) error {
	r, ok := m.source.(Reloader)
	if !ok {
		return nil
	}
	return partError(m.do(ctx, memberLimit/2, func(ctx context.Context) error { return r.Reload(ctx, refused) }))
}

// question asks a member for its certificate.
type question struct {
	member   *member
	ctx      context.Context // of the caller who asks
	call     *single.Call[memberAnswer]
	mine     bool // the call was started for this question
	answered bool
	cert     *Certificate // one that can sign now; without an answer, that of the last answer
	err      error        // why there is none
}

// begin asks the member, or waits for a call that is under way already.
func (m *member) begin(ctx context.Context) *question {
	q := &question{member: m, ctx: ctx}
	q.start()
	return q
}

func (q *question) start() {
	m := q.member
	q.call, q.mine = m.caller.Start(func() (memberAnswer, error) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(q.ctx), memberLimit, errSilent)
		defer cancel()
		cert, err := checked(ctx, m.source)
		m.last.Store(cert)
		return memberAnswer{asked: true, cert: cert}, err
	})
}

// wait waits for the answer until the call has taken the time limit or the context ends.
func (q *question) wait(ctx context.Context, limit time.Duration) {
	for !q.answered {
		got, err := q.call.Wait(ctx, limit)
		if !q.call.Ended() {
			q.take(q.member.last.Load(), errSilent)
			return
		}
		if q.answered = q.mine || got.asked; q.answered {
			q.take(got.cert, err)
			return
		}
		q.start() // the member was busy with something else
	}
}

// take keeps a certificate if it can sign now, or the error.
func (q *question) take(cert *Certificate, err error) {
	if cert != nil {
		err = cert.valid(time.Now())
	}
	if err != nil {
		cert = nil
	}
	q.cert, q.err = cert, err
}

// checked asks a source and checks that the certificate and its signer match.
func checked(ctx context.Context, source CertSource) (*Certificate, error) {
	if source == nil {
		return nil, errors.New("the source is nil")
	}
	cert, err := source.Certificate(ctx)
	if err != nil {
		return nil, err
	}
	if err := cert.check(); err != nil {
		return nil, err
	}
	return cert, nil
}
