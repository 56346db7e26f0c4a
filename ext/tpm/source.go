package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/google/go-tpm/tpm2"
)

// fileInterval is how often files are looked at, at most, and only while there are callers.
const fileInterval = 10 * time.Second

// Source is the [certtoken.CertSource] of a key in a TPM. Its certificate's signer is a
// [certtoken.ContextSigner].
//
// A Source is for many goroutines. It needs no closing: the TPM is open only while it works,
// and a goroutine runs only then. A caller whose context ends leaves: at once if it waits for
// the TPM, within 0.1 s if the TPM has begun its command, which goes on behind it.
type Source struct {
	user   *user
	loader *loader
	source *certsource.Source
}

var (
	_ certtoken.CertSource = (*Source)(nil)
	_ certtoken.Reloader   = (*Source)(nil)
)

// FromFile makes a source for the key in a TSS2 PRIVATE KEY file, loadable or importable.
// The certificate and its issuers may stand in the same file, as PEM. Every mistake in the
// options is reported at once; the file isn't read before the first use.
//
// The files are looked at every 10 seconds while they are in use, behind the callers. While
// what is there can't be used, the last good pair stays, and Health says why.
func FromFile(path string, opts ...Option) (*Source, error) {
	if path == "" {
		return nil, errors.New("tpm: FromFile: no path")
	}
	return newSource(path, opts, 0, func(context.Context, *user) (*reading, error) {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		return fileReading(data), nil
	})
}

// FromData is FromFile for the bytes of such a file, for example those that [Create] returned.
func FromData(data []byte, opts ...Option) (*Source, error) {
	data = bytes.Clone(data)
	return newSource("a TSS2 PRIVATE KEY", opts, 0, func(context.Context, *user) (*reading, error) {
		return fileReading(data), nil
	})
}

// FromHandle makes a source for a key that the TPM keeps, by its persistent handle, such as
// 0x81010001. The certificate comes from [WithCertificateFile] or [WithCertificate].
//
// The file is looked at as [FromFile] does. The TPM is asked every 15 minutes whether the key
// is the same, and when the file has a certificate for another key.
func FromHandle(handle uint32, opts ...Option) (*Source, error) {
	if !isPersistent(tpm2.TPMHandle(handle)) {
		return nil, fmt.Errorf("tpm: FromHandle: %#x is no persistent handle, which is 0x81000000 to 0x81ffffff", handle)
	}
	name := fmt.Sprintf("handle %#x", handle)
	return newSource(name, opts, handleInterval, func(ctx context.Context, u *user) (*reading, error) {
		return u.readHandle(ctx, tpm2.TPMHandle(handle))
	})
}

// handleInterval is how often the TPM is asked whether the key under a handle is the same.
const handleInterval = 15 * time.Minute

// newSource makes a source of what reads the key, which is kept for a while.
func newSource(
	name string,
	opts []Option,
	keep time.Duration,
	read func(context.Context, *user) (*reading, error),
) (*Source, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	interval := keep
	if keep == 0 || cfg.certFile != "" { // there is a file to look at
		interval = fileInterval
	}
	u := &user{name: name, cfg: cfg, path: absolute(cfg.device)}
	l := &loader{user: u, keep: keep, read: func(ctx context.Context) (*reading, error) { return read(ctx, u) }}
	source, err := certsource.New("tpm: "+name, l.load, certsource.WithRefreshInterval(interval))
	if err != nil {
		return nil, err
	}
	return &Source{user: u, loader: l, source: source}, nil
}

// Certificate returns the certificate with the key as its signer. It waits only while there
// is no valid certificate, and asks the TPM only for the public half of a persistent key.
// Errors wrap the sentinels of this package and of certtoken, and the context's error if that
// ended first.
func (s *Source) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	return s.source.Certificate(ctx)
}

// Reload reads the newest pair now, unless that was done within the last 10 seconds. The
// error says why it can't be used; the last good one stays then.
func (s *Source) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	s.loader.anew.Store(true)
	return s.source.Reload(ctx, refused)
}

// Health is nil, or says why the newest key or certificate isn't used.
func (s *Source) Health() error { return s.source.Health() }

// String names the source by its file or handle.
func (s *Source) String() string {
	return fmt.Sprintf("tpm.Source(%s, %s)", s.user.path, s.user.name)
}

// Format prints s as String does whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
