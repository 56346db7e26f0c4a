package certstore

import (
	"errors"
	"fmt"
)

// defaultStore is "Personal" in the certificate manager.
const defaultStore = "My"

// Option says which certificate is meant.
type Option func(*config)

type config struct {
	machine    bool // LocalMachine instead of CurrentUser
	store      string
	prompts    bool
	thumbprint []byte // SHA-1 or SHA-256
	subject    string
	template   string // an object identifier, or a name
	errs       []error
}

func newConfig(opts []Option) config {
	cfg := config{store: defaultStore}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	named := cfg.thumbprint != nil || cfg.subject != "" || cfg.template != ""
	if !named && len(cfg.errs) == 0 {
		cfg.fail("no certificate named: give WithThumbprint, WithSubject or WithTemplate")
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("certstore: "+format, args...))
}

// validate reports every mistake at once.
func (c *config) validate() error { return errors.Join(c.errs...) }

// WithThumbprint names the certificate by the SHA-1 or SHA-256 of its DER form in
// hex. Spaces, colons and the invisible characters that come along when it is
// copied from the certificate manager are ignored.
func WithThumbprint(thumbprint string) Option {
	return func(c *config) {
		sum, err := parseThumbprint(thumbprint)
		if err != nil {
			c.fail("WithThumbprint: %w", err)
		}
		c.thumbprint = sum
	}
}

// WithSubject names the certificate by its subject: the common name, or the whole
// name as [pkix.Name.String] writes it, without regard to case. Of several the
// newest valid one with a private key is taken, so a renewed certificate is found
// by itself.
//
// [pkix.Name.String]: https://pkg.go.dev/crypto/x509/pkix#Name.String
func WithSubject(subject string) Option {
	return func(c *config) {
		if subject == "" {
			c.fail("WithSubject: no subject")
		}
		c.subject = subject
	}
}

// WithTemplate names the certificate by the template that a CA of Active Directory issued
// it from: the template's object identifier, which the certificate manager shows in the
// details as "Certificate Template Information", or the name of a template of version 1,
// such as "Machine", without regard to case. Certificates of newer templates hold the
// identifier alone. Of several the one is taken that [WithSubject] would take.
func WithTemplate(template string) Option {
	return func(c *config) {
		if err := checkTemplate(template); err != nil {
			c.fail("WithTemplate: %w", err)
		}
		c.template = template
	}
}

// WithLocalMachine looks in the machine's store, for services, instead of the
// current user's. The account needs permission to read the private key.
func WithLocalMachine() Option {
	return func(c *config) { c.machine = true }
}

// WithStore names the store, by default My, which is "Personal" in the
// certificate manager.
func WithStore(name string) Option {
	return func(c *config) {
		if name == "" {
			c.fail("WithStore: no name")
		}
		c.store = name
	}
}

// WithPrompts lets Windows ask the user, for the PIN of a smart card or the
// consent to use a key. By default such keys fail, as a service would hang on a
// window that it has no screen for.
func WithPrompts() Option {
	return func(c *config) { c.prompts = true }
}

// location is the store's path, as the system writes it.
func (c *config) location() string {
	if c.machine {
		return `LocalMachine\` + c.store
	}
	return `CurrentUser\` + c.store
}
