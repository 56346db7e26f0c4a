package keyvault

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
)

// reloadPause is how long ago the vault must have been asked for [Source.Reload]
// to ask it again: an endpoint that refuses every certificate can't have it
// asked in a loop.
const reloadPause = 10 * time.Second

// Source is the [certtoken.CertSource] of a certificate in a vault. It keeps the
// pair that it read, and from the refresh interval on lets one caller start a
// look for a renewed version behind it; a version that is disabled, expired, not
// valid yet or can't be used leaves the last good pair in use, and
// [Source.Health] tells. A Source has no goroutine of its own and nothing to
// close. Make one with [FromSecret] or [FromKey].
type Source struct {
	name string // for people: the certificate's address
	cfg  config
	load loader

	throttle *throttle
	state    atomic.Pointer[state]

	mu     sync.Mutex // guards flight and writing state, never held over I/O
	flight *flight
}

// loader asks the vault for the pair as it is now, or returns the known one if
// that is it.
type loader interface {
	load(ctx context.Context, known *pair) (*pair, error)
}

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

func newSource(vaultURL, certificate string, cfg config, throttle *throttle, load loader) *Source {
	s := &Source{name: address(vaultURL, certificate), cfg: cfg, load: load, throttle: throttle}
	s.state.Store(&state{})
	return s
}

// address names a certificate for people.
func address(vaultURL, certificate string) string {
	return strings.TrimRight(vaultURL, "/") + "/certificates/" + certificate
}

// Certificate returns the pair in use. It waits for the vault only while there
// is none that is valid; then all callers wait for one request, each until its
// own context ends. Errors say what the vault answered and what to do; they
// answer [errors.As] for [*azcore.ResponseError]. Safe for concurrent use.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	for {
		now, known := time.Now(), s.state.Load()
		if p := known.inUse(now); p != nil && validity(p.cert, now) == nil {
			if s.due(known, now) {
				s.join(context.Background(), known)
			}
			return p.cert, nil
		}
		if known.answered() && !s.due(known, now) {
			return known.without(now)
		}
		if err := s.wait(ctx, s.join(ctx, known)); err != nil {
			return nil, err
		}
	}
}

// Reload asks the vault at once, unless it was asked within the last 10 seconds
// or wants a pause, and returns why its newest version can't be used, if so. If
// that version is the one that was refused, the one before it, if this Source has
// seen it and it is valid, is used for the next 10 minutes: long enough for a
// registration to spread.
func (s *Source) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	now, known := time.Now(), s.refuse(refused)
	if s.cfg.version != "" && known.current != nil || known.answered() && now.Sub(known.asked) < reloadPause {
		return known.err
	}
	if err := s.wait(ctx, s.join(ctx, known)); err != nil {
		return err
	}
	return s.state.Load().err
}

// Health returns why the vault's newest version isn't in use or couldn't be
// asked for, or nil. It asks nobody: it tells what the last look found, and
// nothing before the first. A source that isn't healthy may still work with its
// last good pair.
func (s *Source) Health() error {
	now, known := time.Now(), s.state.Load()
	p := known.inUse(now)
	switch {
	case known.err != nil:
		return known.err
	case p == nil:
		return nil
	case p != known.current:
		return fmt.Errorf(
			"keyvault: %s: the token endpoint refused version %s; version %s is used until %s",
			s.name,
			versionName(known.current.version),
			versionName(p.version),
			known.refusedUntil.UTC().Format(time.RFC3339),
		)
	}
	return validity(p.cert, now)
}

// String names the certificate by its address in the vault.
func (s *Source) String() string { return "keyvault.Source(" + s.name + ")" }

// Format prints s as String does whatever the verb, so that none walks into the
// credential or a key.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// due reports whether the vault is to be asked. A pinned version never changes.
func (s *Source) due(known *state, now time.Time) bool {
	if s.cfg.version != "" && known.current != nil {
		return false
	}
	return !now.Before(known.next)
}

// refuse notes which certificate the token endpoint refused.
func (s *Source) refuse(refused *certtoken.Certificate) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.Load().refuse(refused, time.Now())
	s.state.Store(next)
	return next
}
