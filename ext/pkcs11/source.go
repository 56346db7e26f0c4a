package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// readPause is how often a token is looked through for a certificate in the
// place of one that isn't valid.
const readPause = 10 * time.Second

// Source is the [certtoken.CertSource] of a key on a token. It opens the token
// when it is first asked, keeps a bounded number of sessions, and finds the token
// and logs in again, once for each call, when the sessions were lost. Its
// certificate's signer is a [certtoken.ContextSigner].
//
// A Source is for many goroutines. It has a goroutine only while the token does
// something; a caller whose context ends leaves, what the token is doing goes on
// behind it. Make one with [New], and [Source.Close] it.
type Source struct{ pool }

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

// New makes a source for a key on a token. The module is the path of the
// library that the token's maker supplies. Every mistake in the options is
// reported at once; the module isn't loaded before the first use, see
// [Source.Login].
func New(module string, opts ...Option) (*Source, error) {
	cfg := newConfig(module, opts)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Source{pool{
		cfg:     cfg,
		library: moduleOf(module),
		wrap:    func(c cryptoki) cryptoki { return c },
		places:  make(chan struct{}, cfg.sessions),
		turn:    make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}}
	s.read = func(o objects) (*pair, error) { return readPair(o, &s.cfg, s.signer) }
	return s, nil
}

// Certificate returns the certificate with the key as its signer. It waits for
// the token only if that isn't open, or if the certificate isn't valid and the
// token may hold another by now. Errors wrap the sentinels of this package and of
// certtoken, and the context's error if that ended first.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	c, err := s.connected(ctx)
	if err != nil {
		return nil, s.explain(err)
	}
	known := s.pairOf(c)
	now := time.Now()
	if known.cert.Valid(now) == nil || now.Sub(known.read) < readPause {
		return known.cert, nil
	}
	if s.Reload(ctx, known.cert) != nil {
		return known.cert, nil // its use tells what is wrong with it
	}
	return s.Certificate(ctx)
}

// Reload reads key and certificate from the token again, for a certificate that
// was renewed there.
func (s *Source) Reload(ctx context.Context, _ *certtoken.Certificate) error {
	_, err := do(ctx, &s.pool, func(c *connection, session p11.SessionHandle) (struct{}, error) {
		found, err := s.read(objects{c.api, session})
		if err == nil {
			s.mu.Lock()
			c.pair = found
			s.mu.Unlock()
		}
		return struct{}{}, err
	})
	return s.explain(err)
}

// Login opens the token and logs in now instead of at the first use, so that a
// prompt or a mistake shows at the start of a program. After a PIN that the token
// refused ([ErrPINRefused]) it is the only call that asks for one again: every
// other fails without touching the token, because a few wrong PINs lock it.
func (s *Source) Login(ctx context.Context) error {
	s.mu.Lock()
	s.refused = nil
	s.mu.Unlock()
	_, err := s.connected(ctx)
	return s.explain(err)
}

// Close closes the sessions, which logs out, and lets go of the module. It ends
// callers that wait, and waits up to 5 seconds for what the token is doing; if
// that takes longer, it returns an error and the rest is done behind it. Later
// calls return nil, other methods [ErrClosed].
func (s *Source) Close() error {
	return s.explain(s.close())
}

// String names the source by module, token and key.
func (s *Source) String() string {
	return fmt.Sprintf("pkcs11.Source(%s, %s, %s)", s.cfg.module, s.cfg.tokenName(), s.cfg.keyName())
}

// Format prints s as String does whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// explain says of whose token an error tells.
func (s *Source) explain(err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("pkcs11: %s: %w", s.cfg.tokenName(), err)
}
