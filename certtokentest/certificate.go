package certtokentest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
)

// The validity of a certificate by default. It is wide, so that the certificate
// is valid inside a testing/synctest bubble too, whose clock starts in 2000.
var (
	defaultNotBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	defaultNotAfter  = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CertOption changes a certificate of [NewCertificate] from its defaults.
type CertOption func(*certTemplate)

type certTemplate struct {
	subject             string
	notBefore, notAfter time.Time
	kind                KeyKind
	bits                int
	signer              crypto.Signer
	shared              bool
	issuer              *certtoken.Certificate
	isCA                bool
}

// WithSubject sets the subject's common name; by default certtokentest.
func WithSubject(commonName string) CertOption {
	return func(c *certTemplate) { c.subject = commonName }
}

// WithValidity sets when the certificate is valid, in whole seconds; by default
// from 1999 to 2099, so that it is inside a testing/synctest bubble too.
func WithValidity(notBefore, notAfter time.Time) CertOption {
	return func(c *certTemplate) { c.notBefore, c.notAfter = notBefore, notAfter }
}

// WithKeyKind makes a key of another kind; by default an RSA key.
func WithKeyKind(kind KeyKind) CertOption {
	return func(c *certTemplate) { c.kind = kind }
}

// WithKeyBits sets the length of an RSA key; by default 2048.
func WithKeyBits(bits int) CertOption {
	return func(c *certTemplate) { c.bits = bits }
}

// WithKey takes this key instead of a new one: for a renewal that keeps its
// key, and for keys that only a signer of one's own can use.
func WithKey(signer crypto.Signer) CertOption {
	return func(c *certTemplate) { c.signer = signer }
}

// WithSharedKey takes one key of its kind that is made once in a process, for tests
// that need many certificates and don't care about their keys.
func WithSharedKey() CertOption {
	return func(c *certTemplate) { c.shared = true }
}

// SignedBy lets another certificate, made with [AsCA], issue this one. Its
// chain is added.
func SignedBy(ca *certtoken.Certificate) CertOption {
	return func(c *certTemplate) { c.issuer = ca }
}

// AsCA makes a certificate that can issue others.
func AsCA() CertOption {
	return func(c *certTemplate) { c.isCA = true }
}

// NewCertificate makes a certificate with a new key, self-signed by default. A
// failure ends the test.
func NewCertificate(t testing.TB, opts ...CertOption) *certtoken.Certificate {
	t.Helper()
	cert, err := MakeCertificate(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// MakeCertificate is [NewCertificate] without a test. Errors are an issuer that
// is no CA, an unknown kind of key, and a key that [certtoken.NewCertificate] refuses.
func MakeCertificate(opts ...CertOption) (*certtoken.Certificate, error) {
	c := certTemplate{
		subject:   "certtokentest",
		notBefore: defaultNotBefore,
		notAfter:  defaultNotAfter,
		bits:      defaultKeyBits,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	signer, err := c.key()
	if err != nil {
		return nil, fmt.Errorf("certtokentest: %w", err)
	}
	leaf, err := c.sign(signer)
	if err != nil {
		return nil, fmt.Errorf("certtokentest: %w", err)
	}
	var chain []*x509.Certificate
	if c.issuer != nil {
		chain = append([]*x509.Certificate{c.issuer.Leaf}, c.issuer.Chain...)
	}
	return certtoken.NewCertificate(signer, leaf, chain)
}

func (c *certTemplate) key() (crypto.Signer, error) {
	switch {
	case c.signer != nil:
		return c.signer, nil
	case c.shared:
		return sharedKey(c.kind)
	}
	return c.kind.newKey(c.bits)
}

func (c *certTemplate) sign(signer crypto.Signer) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber:          ids.Serial(),
		Subject:               pkix.Name{CommonName: c.subject},
		NotBefore:             c.notBefore,
		NotAfter:              c.notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: c.isCA,
		IsCA:                  c.isCA,
	}
	if _, ok := signer.Public().(*rsa.PublicKey); ok { // no other kind can encrypt
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if c.isCA {
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	}
	parent, parentKey := template, signer
	if c.issuer != nil {
		if !c.issuer.Leaf.IsCA {
			return nil, errors.New("the issuer is no CA: make it with AsCA")
		}
		parent, parentKey = c.issuer.Leaf, c.issuer.Signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
