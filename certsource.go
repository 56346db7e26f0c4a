package certtoken

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/mtls"
)

// RSA moduli outside these bounds are refused. Entra ID and RFC 7518 §3.3 ask for at
// least 2048 bits. Operations with a key far above 16384 bits would take so long that a
// hostile certificate could stall the program.
const (
	minKeyBits = 2048
	maxKeyBits = 16384
)

// Certificate is a certificate with the signer of its private key. They travel
// together so that a rotation can't combine the thumbprint of one certificate with a
// signature by the key of another. A Certificate is read-only after it was made, may
// be used from many goroutines, and is its own [CertSource]. Printed, logged or
// encoded it shows no key; only a tool that dumps memory can reach that of the Signer.
type Certificate struct {
	Leaf   *x509.Certificate
	Chain  []*x509.Certificate // issuers of Leaf, nearest first; may be empty
	Signer crypto.Signer       // RSA; a key in memory, an HSM, a vault

	format     string       // of the file it was read from
	deviations []string     // what crypto/x509 refuses about that file
	digests    *thumbprints // of the leaf at construction; nil: it is a literal of the user's
}

// CertSource supplies the certificate that signs. It is asked once for each
// signature, and again after the endpoint has refused its certificate. It is called
// from many goroutines, and so is the signer that it returns; the result is only read.
// A certificate that doesn't match its signer is an error at every use. The context
// ends with the token request, so a source that does I/O must watch it.
//
// A source may also implement [Reloader], and its signer [ContextSigner]. Two more
// methods are optional. Health() error says why the source goes on with an old
// certificate because it can't use the new one: the [Client] passes that to its hooks
// and log. Granted(*Certificate) is called, from many goroutines, whenever a token was
// granted for a certificate of the source; it must return at once.
type CertSource interface {
	Certificate(ctx context.Context) (*Certificate, error)
}

// CertSourceFunc makes a [CertSource] of a function.
type CertSourceFunc func(context.Context) (*Certificate, error)

// Certificate calls f.
func (f CertSourceFunc) Certificate(ctx context.Context) (*Certificate, error) { return f(ctx) }

// Reloader is a [CertSource] that is told when the token endpoint refused its
// certificate. Reload gets another one if there is one: it reads the file again, asks
// the vault, or goes back to the previous one. It is called at most once for a token
// request. Then the source is asked again, and the request is repeated only if the
// certificate is another one.
type Reloader interface {
	Reload(ctx context.Context, refused *Certificate) error
}

// ContextSigner is a signer whose work can be cancelled, such as a key in a
// remote vault. Where a [Certificate]'s Signer implements it, SignContext is
// called instead of Sign, with the context of the token request. There is no
// source of randomness: a signer that needs one takes [crypto/rand.Reader]. For
// the PS algorithms opts is an [*rsa.PSSOptions], which must be obeyed. A signer
// that lacks an algorithm returns an error that wraps [errors.ErrUnsupported].
type ContextSigner interface {
	crypto.Signer
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

var (
	_ CertSource = (*Certificate)(nil)
	_ CertSource = CertSourceFunc(nil)
)

// NewCertificate joins a signer with its certificate. It refuses a nil part, a
// key that isn't RSA ([ErrNotRSA]) or is shorter than 2048 bits ([ErrKeySize]),
// and a signer whose public key isn't the leaf's ([ErrKeyMismatch]). An expired
// certificate is accepted here and refused when it would sign.
//
// chain may be in any order and hold other certificates too. The Certificate's Chain
// has the issuers of leaf that are among them, nearest first.
func NewCertificate(signer crypto.Signer, leaf *x509.Certificate, chain []*x509.Certificate) (*Certificate, error) {
	c, err := newCertificate(signer, leaf, chain)
	if err != nil {
		return nil, public(err)
	}
	c.Chain = certfile.SortChain(leaf, chain)
	return c, nil
}

// newCertificate is NewCertificate for a chain that is in order already.
func newCertificate(signer crypto.Signer, leaf *x509.Certificate, chain []*x509.Certificate) (*Certificate, error) {
	c := &Certificate{Leaf: leaf, Chain: chain, Signer: signer}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.digests = thumbprintsOf(leaf)
	return c, nil
}

// Certificate returns c itself.
func (c *Certificate) Certificate(context.Context) (*Certificate, error) { return c, nil }

// FileFormat is the form of the file that the certificate was read from: "PFX",
// "PEM" or "DER"; "" if it wasn't read from one.
func (c *Certificate) FileFormat() string { return c.format }

// Deviations says, in words for people, what [crypto/x509] refuses about the
// certificate file; it is nil for an ordinary one. The client's own certificate is
// only sent, and its key signs, so a negative serial number or an extension that can't
// be read doesn't keep it from being used. A field of Leaf or Chain that such a part
// belongs to is zero, or holds what could be read. A certificate that couldn't be read
// at all was left out and is named here, such as an issuer that the server may need. A
// program in Go that receives the certificate may refuse it.
func (c *Certificate) Deviations() []string { return slices.Clone(c.deviations) }

// String describes the certificate by subject, thumbprint and end. It shows
// nothing of the private key.
func (c *Certificate) String() string {
	if c == nil || c.Leaf == nil {
		return "certtoken.Certificate(none)"
	}
	return fmt.Sprintf("certtoken.Certificate(%q, SHA-256 %s, valid until %s)",
		c.Leaf.Subject, c.thumbprintHex(), c.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// Format prints c as String does, whatever the verb, so that %+v doesn't print the key.
func (c Certificate) Format(s fmt.State, _ rune) { fmt.Fprint(s, c.String()) }

// LogValue logs c as String does.
func (c Certificate) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText makes encoders write c as String does. Without it, encoding/json would
// write the private key.
func (c Certificate) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// check reports why c isn't a pair that can sign, whatever the time.
func (c *Certificate) check() error {
	switch {
	case c == nil:
		return errors.New("nil certificate")
	case c.Leaf == nil:
		return fmt.Errorf("%w: Leaf is nil", ErrNoCertificate)
	case c.Signer == nil || isNilKey(c.Signer):
		return fmt.Errorf("%w: Signer is nil", ErrNoPrivateKey)
	}
	for _, issuer := range c.Chain {
		if issuer == nil {
			return errors.New("nil certificate in Chain")
		}
	}
	pub, ok := c.Signer.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the signer's key is %T", ErrNotRSA, c.Signer.Public())
	}
	if pub == nil || pub.N == nil {
		return fmt.Errorf("%w: the signer has no public key", ErrNoPrivateKey)
	}
	if bits := pub.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("%w: %d bits, must be %d to %d", ErrKeySize, bits, minKeyBits, maxKeyBits)
	}
	if leaf, ok := c.Leaf.PublicKey.(*rsa.PublicKey); !ok || leaf.E != pub.E || leaf.N.Cmp(pub.N) != 0 {
		return fmt.Errorf("%w: the certificate is %q, SHA-256 %s; the key's public half has SHA-256 %s",
			ErrKeyMismatch, c.Leaf.Subject, c.thumbprintHex(), keyThumbprintHex(pub))
	}
	return nil
}

// isNilKey reports whether a signer is a nil *rsa.PrivateKey, as a failed lookup of a key
// leaves it in an interface that isn't nil.
func isNilKey(s crypto.Signer) bool {
	key, ok := s.(*rsa.PrivateKey)
	return ok && key == nil
}

// Valid reports why the certificate can't sign at the given time: the error wraps
// [ErrExpired] or [ErrNotYetValid]. Within its validity it returns nil. Leaf must
// not be nil.
func (c *Certificate) Valid(now time.Time) error { return public(c.valid(now)) }

// valid is Valid for this package.
func (c *Certificate) valid(now time.Time) error {
	switch {
	case now.Before(c.Leaf.NotBefore):
		return fmt.Errorf("%w: %q is valid from %s; check the clock of this machine",
			ErrNotYetValid, c.Leaf.Subject, c.Leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.Leaf.NotAfter):
		return fmt.Errorf("%w: %q ended on %s; make or fetch a new one and register it",
			ErrExpired, c.Leaf.Subject, c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// thumbprints returns those of the present leaf, which the user may have replaced.
func (c *Certificate) thumbprints() *thumbprints {
	if c.digests != nil && c.digests.leaf == c.Leaf {
		return c.digests
	}
	return thumbprintsOf(c.Leaf)
}

func (c *Certificate) sha256() [sha256.Size]byte { return c.thumbprints().sha256 }

// thumbprintHex is the SHA-256 by which errors and events name a certificate.
func (c *Certificate) thumbprintHex() string {
	sum := c.sha256()
	return hex.EncodeToString(sum[:])
}

// sha1Hex is the thumbprint as portals and Windows show it, for people to compare. It
// only names the certificate; nothing is protected by it.
func (c *Certificate) sha1Hex() string { return fmt.Sprintf("%X", c.thumbprints().sha1()) }

// keyThumbprintHex names a public key, for errors: the SHA-256 of its
// SubjectPublicKeyInfo, as "openssl pkey -pubout -outform DER | openssl sha256" prints it.
func keyThumbprintHex(pub *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// pair is c in the form in which internal/mtls presents it in TLS handshakes.
func (c *Certificate) pair() *mtls.Pair {
	return &mtls.Pair{Leaf: c.Leaf, Chain: c.Chain, Signer: c.Signer, Valid: c.Valid}
}
