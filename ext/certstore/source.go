package certstore

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
)

const (
	// lookEvery is how often the store is looked through for a renewed certificate.
	lookEvery = 15 * time.Minute

	// lookPause is how long it is left alone if there was none that is valid.
	lookPause = 10 * time.Second
)

// Source is the [certtoken.CertSource] of a certificate in the Windows
// certificate store. It looks through the store when it is first asked, and again
// every 15 minutes, so that a renewed certificate is found; while the store can't
// be read, the last good pair stays in use. The key's handle is freed when nothing
// refers to the certificate any more: there is nothing to close. A Source is for
// many goroutines. Make one with [New].
type Source struct {
	cfg   config
	find  finder
	state atomic.Pointer[state]
}

// state is what was found last.
type state struct {
	cert *certtoken.Certificate
	next time.Time // when the store is looked through again
}

// privateKey is a key that only the system can use.
type privateKey interface {
	sign(digest []byte, p padding) ([]byte, error)
}

// found is a certificate with its key, as the system knows them.
type found struct {
	leaf  *x509.Certificate
	chain []*x509.Certificate
	key   privateKey
}

// finder looks through a store for the first certificate, in the order that
// cfg wants, that has a private key.
type finder func(cfg *config, now time.Time) (*found, error)

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

// New makes a source for a certificate in the store, which must be named by
// [WithThumbprint] or [WithSubject]. Every mistake in the options is reported at
// once; the store isn't opened before the first use. On other systems than
// Windows the error wraps [errors.ErrUnsupported].
func New(opts ...Option) (*Source, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	return newSource(findInStore, opts)
}

func newSource(find finder, opts []Option) (*Source, error) {
	cfg := newConfig(opts)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Source{cfg: cfg, find: find}, nil
}

// Certificate returns the certificate with its key as the signer, a
// [certtoken.ContextSigner]. Errors wrap certtoken's sentinels
// (certtoken.ErrNoCertificate, certtoken.ErrNoPrivateKey and so on), and the
// context's error if that ended first.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	now, known := time.Now(), s.state.Load()
	if known != nil && now.Before(known.next) {
		return known.cert, nil
	}
	err := s.Reload(ctx, nil)
	if again := s.state.Load(); again != nil && (err == nil || valid(again.cert.Leaf, now)) {
		return again.cert, nil
	}
	return nil, err
}

// Reload looks through the store now, for a certificate that was renewed there.
func (s *Source) Reload(ctx context.Context, _ *certtoken.Certificate) error {
	_, err := await(ctx, func() (struct{}, error) { return struct{}{}, s.look() })
	if err != nil {
		return fmt.Errorf("certstore: %s: %w", s.cfg.location(), err)
	}
	return nil
}

// look finds the certificate and publishes it.
func (s *Source) look() error {
	now, known := time.Now(), s.state.Load()
	cert, err := s.load(now)
	if err != nil {
		if known != nil { // the last good pair stays
			s.state.CompareAndSwap(known, &state{known.cert, now.Add(lookPause)})
		}
		return err
	}
	if known != nil && known.cert.Leaf.Equal(cert.Leaf) {
		cert = known.cert // with the handle that is open
	}
	next := now.Add(lookEvery)
	if !valid(cert.Leaf, now) {
		next = now.Add(lookPause)
	}
	s.state.CompareAndSwap(known, &state{cert, next}) // else somebody looked at the same time
	return nil
}

func (s *Source) load(now time.Time) (*certtoken.Certificate, error) {
	got, err := s.find(&s.cfg, now)
	if err != nil {
		return nil, err
	}
	pub, ok := got.leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf(
			"%w: the certificate %q has a key of %T",
			certtoken.ErrNotRSA,
			got.leaf.Subject,
			got.leaf.PublicKey,
		)
	}
	name := s.cfg.location() + ", " + s.cfg.name()
	return certtoken.NewCertificate(&signer{key: got.key, public: pub, name: name}, got.leaf, got.chain)
}

// await runs f and leaves it behind when the context ends: a call of the system
// can't be broken off.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// String names the source by store and certificate.
func (s *Source) String() string {
	return fmt.Sprintf("certstore.Source(%s, %s)", s.cfg.location(), s.cfg.name())
}

// Format prints s as String does whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
