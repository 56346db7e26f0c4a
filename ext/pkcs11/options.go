package pkcs11

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/certtoken/certtoken"
)

const (
	defaultSessions = 8
	maxSessions     = 1024
)

// Option changes a [Source] from its defaults. Those that name a token must all
// fit, and so must those that name a key.
type Option func(*config)

type config struct {
	module      string
	tokenLabel  string
	tokenSerial string
	slot        *uint
	keyLabel    string
	keyID       []byte
	leaf        *x509.Certificate
	keyAlone    bool
	issuers     []*x509.Certificate
	pin         func(context.Context) (string, error)
	sessions    int
	errs        []error
}

func newConfig(module string, opts []Option) config {
	cfg := config{module: module, sessions: defaultSessions}
	if module == "" {
		cfg.fail("no module: the path of the token's PKCS #11 library")
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("pkcs11: "+format, args...))
}

// validate reports every mistake at once.
func (c *config) validate() error {
	if c.keyAlone && (c.leaf != nil || c.issuers != nil) {
		c.fail("WithoutCertificate: WithCertificate and WithIssuers give one; leave either out")
	}
	return errors.Join(c.errs...)
}

// WithTokenLabel names the token by its label. It is found in whatever slot it
// is. Without any of WithTokenLabel, [WithTokenSerial] and [WithSlot] there must
// be one initialised token.
func WithTokenLabel(label string) Option {
	return func(c *config) {
		if label == "" {
			c.fail("WithTokenLabel: no label")
		}
		c.tokenLabel = label
	}
}

// WithTokenSerial names the token by its serial number.
func WithTokenSerial(serial string) Option {
	return func(c *config) {
		if serial == "" {
			c.fail("WithTokenSerial: no serial number")
		}
		c.tokenSerial = serial
	}
}

// WithSlot names the token by the number of its slot. Some modules number their
// slots anew at each start; prefer the label or the serial number.
func WithSlot(slot uint) Option {
	return func(c *config) { c.slot = &slot }
}

// WithKeyLabel names the private key by its label (CKA_LABEL). Without
// WithKeyLabel and [WithKeyID] there must be one RSA key on the token.
func WithKeyLabel(label string) Option {
	return func(c *config) {
		if label == "" {
			c.fail("WithKeyLabel: no label")
		}
		c.keyLabel = label
	}
}

// WithKeyID names the private key by its id (CKA_ID) in hex; colons and spaces
// are ignored.
func WithKeyID(id string) Option {
	return func(c *config) {
		raw, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(id))
		if err != nil || len(raw) == 0 {
			c.fail("WithKeyID: %q is no id in hex, such as 01 or a1:b2:c3", id)
		}
		c.keyID = raw
	}
}

// WithPIN sets where the PIN comes from: a file that only the program reads, a
// prompt. The function is called at each login, by one goroutine at a time, and
// what it returns goes to the token and is kept nowhere. Its context ends after
// two minutes and by [Source.Close], not with the caller that happened to be
// first. A token with a keypad of its own needs no function.
//
// A key with CKA_ALWAYS_AUTHENTICATE, such as a PIV card's signature key, wants
// the PIN for each signature, and the function is called for each.
func WithPIN(pin func(context.Context) (string, error)) Option {
	return func(c *config) { c.pin = pin }
}

// WithCertificate gives the key's certificate, for a token that holds the key
// only. By default the certificate is read from the token: the one with the id
// of the key, or without such, with its label; of several the newest valid one.
func WithCertificate(leaf *x509.Certificate) Option {
	return func(c *config) {
		if leaf == nil {
			c.fail("WithCertificate: %w", certtoken.ErrNoCertificate)
		} else if _, err := checkKey(leaf.PublicKey); err != nil {
			c.fail("WithCertificate: %w", err)
		}
		c.leaf = leaf
	}
}

// WithoutCertificate hands out the key alone, for servers that know their clients by
// registered keys (see [certtoken.NewKey]; print what to register by package jwks), and for
// keys that have no certificate yet: the Signer is what selfsigned.Request and selfsigned.For
// take. The token must show the public half, which for an EC or Ed25519 key is an object of
// its own with the key's id. Entra ID and ADFS don't take keys alone.
func WithoutCertificate() Option {
	return func(c *config) { c.keyAlone = true }
}

// WithIssuers gives the certificates of the authorities that issued the
// certificate, in any order. Those on the token are found without it.
func WithIssuers(issuers ...*x509.Certificate) Option {
	return func(c *config) {
		for _, issuer := range issuers {
			if issuer == nil {
				c.fail("WithIssuers: nil certificate")
				return
			}
		}
		c.issuers = append(c.issuers, issuers...)
	}
}

// WithSessions limits how many sessions are open on the token at once, and with
// them how many signatures are made at once: 1 to 1024, by default 8. Further
// callers wait, each until its own context ends.
func WithSessions(n int) Option {
	return func(c *config) {
		if n < 1 || n > maxSessions {
			c.fail("WithSessions: %d is not within 1 and %d", n, maxSessions)
			return
		}
		c.sessions = n
	}
}
