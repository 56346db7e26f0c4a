package rotate

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

// The defaults of [Options], and how long a step may take.
const (
	defaultBefore      = 30 * 24 * time.Hour
	defaultEvery       = 90 * 24 * time.Hour
	defaultRemoveAfter = 7 * 24 * time.Hour
	defaultSettle      = 2 * time.Minute

	stepLimit = 2 * time.Minute // for one step, with everything that it asks
)

// Options are the settings of a rotation. The zero value is a good one.
type Options struct {
	// Before is how long before the certificate's end a rotation begins. The default is 30
	// days. It is at most two thirds of the certificate's lifetime.
	Before time.Duration

	// Every is how long a key without a certificate, which has no end, is used before a
	// rotation begins. The default is 90 days.
	Every time.Duration

	// RemoveAfter is how long the old key stays registered after the client was granted a
	// token for the new one. The default is 7 days. Other processes that have read the old
	// file must have read the new one by then. Less than 0 is none.
	RemoveAfter time.Duration

	// Settle is for how long tokens must be granted for the new key, without a refusal
	// among them, before it takes the place of the old one: a server that is many machines
	// doesn't know a new key everywhere at once. The default is 2 minutes; less than 0 is
	// none, so that one token is enough.
	Settle time.Duration

	// Probe is what is asked for to find out whether tokens are granted. The default is what
	// [certtoken.Client.Check] asks for. Its Fresh, Refused and MinValidity must not be set.
	Probe certtoken.Request

	// Certificate says what the new certificate is like. What is zero is as in the old one:
	// the subject, the names, the kind and size of the key, the validity.
	Certificate selfsigned.Options

	// Issue makes the certificate of a new key, where a CA does that. The default is one
	// that the key signs itself, and is for an old one that is self-signed too: a certificate
	// of a CA isn't replaced by one that is none. Ask for what suits the old one.
	Issue func(ctx context.Context, key crypto.Signer, old *x509.Certificate) (*certtoken.Certificate, error)

	// KeyID is the id at the registrar of the key that is in the file before the first
	// rotation, where the registrar can't find it. Without an id it is never removed, and
	// reported as an orphan. Later rotations know the ids of the keys that they registered.
	KeyID string

	// Lock lets one process of a fleet make a step, for files on a file system without locks.
	// By default it is a lock of a file beside the certificate.
	Lock certtoken.Locker

	// Hooks are called for each step.
	Hooks Hooks

	// Log is told of each step. nil: nothing is logged.
	Log *slog.Logger

	fault  func(point string) error                        // for tests: fails or stops a rotation at a point
	newKey func(selfsigned.Options) (crypto.Signer, error) // for tests: makes keys in memory
}

// validate names every mistake.
func (o Options) validate() error {
	var errs []error
	if o.Before < 0 || o.Every < 0 {
		errs = append(errs, errors.New("options Before and Every can't be negative"))
	}
	if o.Probe.Fresh || o.Probe.Refused != nil || o.Probe.MinValidity != 0 {
		errs = append(errs, errors.New("option Probe: its Fresh, Refused and MinValidity must not be set"))
	}
	if err := o.Certificate.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// withDefaults fills in the defaults.
func (o Options) withDefaults(scopes []string) Options {
	set := func(d *time.Duration, otherwise time.Duration) {
		switch {
		case *d == 0:
			*d = otherwise
		case *d < 0:
			*d = 0
		}
	}
	set(&o.Before, defaultBefore)
	set(&o.Every, defaultEvery)
	set(&o.RemoveAfter, defaultRemoveAfter)
	set(&o.Settle, defaultSettle)
	if len(o.Probe.Scopes) == 0 && reflect.ValueOf(o.Probe.Grant).IsZero() {
		o.Probe.Scopes = scopes
	}
	if o.newKey == nil {
		o.newKey = selfsigned.GenerateKey
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
