package tpm

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
)

// Option changes a [Source], or what [Create] does, from the defaults.
type Option func(*config)

// Password is where a password comes from: a file that only the program reads, a prompt. It
// is called for each use of the key, with the context of the caller, and by several
// goroutines at once where several use the key. What it returns goes to the TPM and is kept
// nowhere.
type Password func(context.Context) (string, error)

type config struct {
	device         string
	password       Password
	parentPassword Password
	parent         tpm2.TPMHandle
	pcrs           *tpm2.TPMLPCRSelection
	leaf           *x509.Certificate
	certFile       string
	keyAlone       bool
	issuers        []*x509.Certificate
	errs           []error
}

// newConfig reports every mistake at once.
func newConfig(opts []Option) (config, error) {
	cfg := config{parent: tpm2.TPMRHOwner}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if cfg.leaf != nil && cfg.certFile != "" {
		cfg.fail("WithCertificate and WithCertificateFile: leave either out")
	}
	if cfg.keyAlone && (cfg.leaf != nil || cfg.certFile != "" || cfg.issuers != nil) {
		cfg.fail("WithoutCertificate: another option gives a certificate; leave either out")
	}
	return cfg, errors.Join(cfg.errs...)
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("tpm: "+format, args...))
}

// WithDevice names the TPM by the path of its device or, for a TPM in software such as
// swtpm, of the Unix socket that it listens on. By default it is /dev/tpmrm0, through which
// programs share the TPM, or /dev/tpm0 where that isn't there. Windows has one TPM, and no
// path for it.
func WithDevice(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fail("WithDevice: no path")
		}
		c.device = path
	}
}

// WithPassword sets where the key's password comes from. A password that the TPM refused
// isn't sent again, as a few wrong ones lock the TPM: the key is asked for with another one
// as soon as the function returns that. A password is 32 bytes long at most (less for a
// key whose name is a shorter hash) and holds no zero byte.
//
// It is sent as an HMAC or encrypted, so that nobody who listens between processor and TPM
// reads it or can try passwords. A policy that would have it plain (TPM2_PolicyPassword) is
// fulfilled by the HMAC too.
func WithPassword(password Password) Option {
	return func(c *config) { c.password = password }
}

// WithParentPassword sets where the password of the key's parent comes from: of the owner
// hierarchy, which rarely has one, or of a persistent key.
func WithParentPassword(password Password) Option {
	return func(c *config) { c.parentPassword = password }
}

// WithParent names the persistent key under which [Create] makes a key, such as 0x81000001.
// By default it is a storage key of the owner hierarchy that the TPM derives when it is
// needed. The parent of a key that exists is told by its file.
func WithParent(handle uint32) Option {
	return func(c *config) {
		if !isPersistent(tpm2.TPMHandle(handle)) {
			c.fail("WithParent: %#x is no persistent handle, which is 0x81000000 to 0x81ffffff", handle)
		}
		c.parent = tpm2.TPMHandle(handle)
	}
}

// WithPCRs names the PCRs that the key is bound to, as tpm2-tools do: sha256:0,7. It is for
// [Create], which binds the key to the values that they have now, and for a key that its
// maker has bound so (TPM2_PolicyPCR alone) and whose file doesn't tell, or that has none.
// The key signs as long as they have those values. The error for PCRs that the TPM doesn't have
// wraps [errors.ErrUnsupported].
func WithPCRs(selection string) Option {
	return func(c *config) {
		parsed, err := parsePCRs(selection)
		if err != nil {
			c.fail("WithPCRs: %w", err)
		}
		c.pcrs = &parsed
	}
}

// WithCertificate gives the key's certificate. By default it is read from the key's file.
func WithCertificate(leaf *x509.Certificate) Option {
	return func(c *config) {
		if leaf == nil {
			c.fail("WithCertificate: %w", certtoken.ErrNoCertificate)
		}
		c.leaf = leaf
	}
}

// WithCertificateFile names a file with the key's certificate and, in any order, those of
// the authorities that issued it, as PEM or DER. It is read again as the key's file is, so
// that a renewed certificate is found.
func WithCertificateFile(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fail("WithCertificateFile: no path")
		}
		c.certFile = path
	}
}

// WithIssuers gives the certificates of the authorities that issued the certificate, in any
// order. Those in the files are found without it.
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

// WithoutCertificate hands out the key alone, for servers that know their clients by
// registered keys (see [certtoken.NewKey]; print what to register by package jwks), and for
// keys that have no certificate yet: the Signer is what selfsigned.Request and selfsigned.For
// take. Entra ID and ADFS don't take keys alone.
func WithoutCertificate() Option {
	return func(c *config) { c.keyAlone = true }
}
