package certstore

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// Source is the [certtoken.CertSource] of a certificate in the Windows
// certificate store. It looks through the store when it is first asked, and again
// every 15 minutes behind a caller, so that a renewed certificate is found; while
// the store can't be read, the last good pair stays in use, and [Source.Health]
// says why. The key's handle is freed when nothing refers to the certificate any
// more: there is nothing to close. A Source is for many goroutines. Make one with
// [New].
type Source struct {
	cfg    config
	find   finder
	source *certsource.Source
}

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

// New makes a source for a certificate in the store, which must be named by
// [WithThumbprint], [WithSubject] or [WithTemplate]. Every mistake in the options is reported at
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
	s := &Source{cfg: cfg, find: find}
	source, err := certsource.New("certstore: "+cfg.location(), s.load)
	if err != nil {
		return nil, err
	}
	s.source = source
	return s, nil
}

// Certificate returns the certificate with its key as the signer, a
// [certtoken.ContextSigner]. It waits for the store only while there is no valid
// certificate. Errors wrap certtoken's sentinels (certtoken.ErrNoCertificate,
// certtoken.ErrNoPrivateKey and so on), and the context's error if that ended
// first.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	return s.source.Certificate(ctx)
}

// Reload looks through the store at once, for a certificate that was renewed there,
// unless that was done within the last 10 seconds. If the certificate that was
// refused is still the newest, the one before it, if this Source has seen it and it
// is valid, is used for the next 10 minutes.
func (s *Source) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	return s.source.Reload(ctx, refused)
}

// Health returns why the newest certificate of the store isn't in use or the store
// couldn't be read, or nil. It reports what the last look found, and nil before the
// first.
func (s *Source) Health() error { return s.source.Health() }

// load is a [certsource.Load]. A call of the system can't be broken off by a context.
func (s *Source) load(_ context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
	got, err := s.find(&s.cfg, time.Now())
	if err != nil {
		return nil, err
	}
	if known != nil && known.Leaf.Equal(got.leaf) {
		return known, nil // with the handle that is open
	}
	pub := got.leaf.PublicKey
	if !canSign(pub) {
		return nil, fmt.Errorf("%w: the certificate %q has a key of the type %T: CNG signs here with RSA, "+
			"and EC on P-256, P-384 and P-521", certtoken.ErrUnsupported, got.leaf.Subject, pub)
	}
	signer, err := newSigner("certstore: "+s.cfg.location()+", "+s.cfg.name(), got.key, pub)
	if err != nil {
		return nil, err
	}
	return certtoken.NewCertificate(signer, got.leaf, got.chain)
}

// String names the source by store and certificate.
func (s *Source) String() string {
	return fmt.Sprintf("certstore.Source(%s, %s)", s.cfg.location(), s.cfg.name())
}

// Format prints s as String does whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
