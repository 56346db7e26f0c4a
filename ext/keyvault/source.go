package keyvault

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// Source is the [certtoken.CertSource] of a certificate in a vault. It keeps the
// pair that it read, and from the refresh interval on lets one caller start a
// look for a renewed version behind it; a version that is disabled, expired, not
// valid yet or can't be used leaves the last good pair in use, and
// [Source.Health] tells. A Source has no goroutine of its own and nothing to
// close. Make one with [FromSecret] or [FromKey].
type Source struct {
	address string
	source  *certsource.Source
}

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

func newSource(address string, cfg config, pause *throttle, load loader) (*Source, error) {
	opts := []certsource.Option{
		certsource.WithRefreshInterval(cfg.interval), certsource.WithTimeout(cfg.timeout),
	}
	if cfg.version != "" { // a version never changes
		opts = append(opts, certsource.WithoutRefresh())
	}
	v := &versions{load: load, pause: pause}
	source, err := certsource.New("keyvault: "+address, v.newest, opts...)
	if err != nil {
		return nil, err
	}
	return &Source{address, source}, nil
}

// address names a certificate for people.
func address(vaultURL, certificate string) string {
	return strings.TrimRight(vaultURL, "/") + "/certificates/" + certificate
}

// pair is one version of the certificate.
type pair struct {
	version string
	cert    *certtoken.Certificate
}

// loader asks the vault for the pair as it is now, or returns the known one if
// that is it.
type loader interface {
	load(ctx context.Context, known *pair) (*pair, error)
}

// versions knows of which version the certificate in use is. It is asked by one goroutine
// at a time.
type versions struct {
	load  loader
	pause *throttle
	last  *pair // read last
	inUse *pair // of the source
}

// newest is a [certsource.Load].
func (v *versions) newest(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
	if v.last != nil && v.last.cert == known {
		v.inUse = v.last
	}
	if err := v.pause.check(); err != nil {
		return nil, err
	}
	got, err := v.load.load(ctx, v.inUse)
	if err != nil {
		return nil, err
	}
	v.last = got
	return got.cert, nil
}

// Certificate returns the pair in use. It waits for the vault only while there
// is none that is valid; then all callers wait for one request, each until its
// own context ends. Errors say what the vault answered and what to do; they
// answer [errors.As] for [*azcore.ResponseError]. Safe for concurrent use.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	return s.source.Certificate(ctx)
}

// Reload asks the vault at once, unless it was asked within the last 10 seconds
// or wants a pause, and returns why its newest version can't be used, if so. If
// that version is the one that was refused, the one before it, if this Source has
// seen it and it is valid, is used for the next 10 minutes: long enough for a
// registration to spread.
func (s *Source) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	return s.source.Reload(ctx, refused)
}

// Health returns why the vault's newest version isn't in use or couldn't be
// asked for, or nil. It makes no request: it reports what the last look found, and
// nil before the first look. A source that isn't healthy may still work with its
// last good pair.
func (s *Source) Health() error { return s.source.Health() }

// String names the certificate by its address in the vault.
func (s *Source) String() string { return "keyvault.Source(" + s.address + ")" }

// Format prints s as String does whatever the verb, so that none walks into the
// credential or a key.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
