package certtoken

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/mtls"
)

// Certificate is a certificate with the signer of its private key. They travel
// together so that a rotation can't combine the thumbprint of one certificate with a
// signature by the key of another. A Certificate is read-only after it was made, may
// be used from many goroutines, and is its own [CertSource]. Printed, logged or
// encoded it shows no key; only a tool that dumps memory can reach that of the Signer.
//
// A Certificate whose Leaf is nil is a key alone, for servers that know their clients by
// registered keys and not by certificates ([ParseKey], [NewKey], [KeyFile]). Functions
// that read the Leaf, as for [WithKeyIDFunc], must expect that.
type Certificate struct {
	Leaf   *x509.Certificate   // nil: it is a key alone
	Chain  []*x509.Certificate // issuers of Leaf, nearest first; may be empty
	Signer crypto.Signer       // RSA, EC or Ed25519; a key in memory, an HSM, a vault
	KeyID  string              // kid of assertions; "": none, which only a certificate may have

	format     string       // of the file it was read from
	deviations []string     // what crypto/x509 refuses about that file
	digests    *thumbprints // at construction; nil: it is a literal of the user's
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
// the PS algorithms opts is an [*rsa.PSSOptions], which must be obeyed. For an Ed25519 key
// digest is the message itself, and opts is [crypto.Hash](0). An ECDSA signature may be in
// ASN.1, as those of Go are, or its two numbers one after the other in full length, as
// PKCS #11 and vaults return them; the same is true for Sign. A signer that lacks an
// algorithm returns an error that wraps [errors.ErrUnsupported].
type ContextSigner interface {
	crypto.Signer
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

var (
	_ CertSource = (*Certificate)(nil)
	_ CertSource = CertSourceFunc(nil)
)

// NewCertificate joins a signer with its certificate. The key is RSA, EC (P-256, P-384 or
// P-521) or Ed25519; Entra ID and ADFS take RSA only. NewCertificate refuses a nil part,
// another type of key ([ErrUnsupported]), an RSA key of less than 2048 bits ([ErrKeySize]),
// and a signer whose public key isn't the leaf's ([ErrKeyMismatch]). An expired
// certificate is accepted here and refused when it would sign.
//
// chain may be in any order and hold other certificates too. The Certificate's Chain
// has the issuers of leaf that are among them, nearest first. An [ed25519.PrivateKey]
// becomes a pointer to it, because fmt could print its bytes otherwise.
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
	if leaf == nil {
		return nil, fmt.Errorf("%w: Leaf is nil", ErrNoCertificate)
	}
	c := &Certificate{Leaf: leaf, Chain: chain, Signer: signer}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.digests = thumbprintsOf(leaf)
	c.Signer = behindPointer(signer)
	return c, nil
}

// behindPointer puts an Ed25519 key behind a pointer, as RSA and EC keys are. The key is a
// slice, and fmt prints the bytes of a slice in a struct of the user's, whose fields it
// reads without calling our methods.
func behindPointer(signer crypto.Signer) crypto.Signer {
	if key, ok := signer.(ed25519.PrivateKey); ok {
		return &key
	}
	return signer
}

// Certificate returns c itself.
func (c *Certificate) Certificate(context.Context) (*Certificate, error) { return c, nil }

// FileFormat is the form of the file that the certificate was read from: "PFX",
// "PEM" or "DER"; "" if it wasn't read from one. That of a key alone is "JWK", or "".
func (c *Certificate) FileFormat() string { return c.format }

// Deviations says, in words for people, what [crypto/x509] refuses about the
// certificate file; it is nil for an ordinary one. The client's own certificate is
// only sent, and its key signs, so a negative serial number or an extension that can't
// be read doesn't keep it from being used. A field of Leaf or Chain that such a part
// belongs to is zero, or holds what could be read. A certificate that couldn't be read
// at all was left out and is named here, such as an issuer that the server may need. A
// program in Go that receives the certificate may refuse it.
func (c *Certificate) Deviations() []string { return slices.Clone(c.deviations) }

// String describes the certificate by subject, thumbprint and end, and a key alone by its
// kind and key id. It shows nothing of the private key.
func (c *Certificate) String() string {
	switch {
	case c == nil || c.Leaf == nil && c.Signer == nil:
		return "certtoken.Certificate(none)"
	case c.Leaf == nil:
		return fmt.Sprintf("certtoken.Certificate(%s alone, key id %q)", jws.Describe(c.publicKey()), c.KeyID)
	}
	return fmt.Sprintf("certtoken.Certificate(%q, SHA-256 %s, valid until %s)",
		c.Leaf.Subject, c.thumbprint(), c.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

// Format prints c as String does, whatever the verb, so that %+v doesn't print the key.
func (c Certificate) Format(s fmt.State, _ rune) { fmt.Fprint(s, c.String()) }

// LogValue logs c as String does.
func (c Certificate) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText makes encoders write c as String does. Without it, encoding/json would
// write the private key.
func (c Certificate) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// check reports why c isn't a pair, or a key alone, that can sign, whatever the time.
func (c *Certificate) check() error {
	switch {
	case c == nil:
		return errors.New("nil certificate")
	case c.Leaf == nil && c.KeyID == "": // a certificate that was forgotten is not a key alone
		return fmt.Errorf("%w: Leaf is nil (NewKey is for a key without a certificate)", ErrNoCertificate)
	case c.Signer == nil || isNilKey(c.Signer):
		return fmt.Errorf("%w: Signer is nil", ErrNoPrivateKey)
	}
	for _, issuer := range c.Chain {
		if issuer == nil {
			return errors.New("nil certificate in Chain")
		}
	}
	pub := c.Signer.Public()
	if err := checkKey(pub); err != nil {
		return err
	}
	if c.Leaf != nil && !isSameKey(pub, c.Leaf.PublicKey) {
		return fmt.Errorf("%w: the certificate is %q, SHA-256 %s; the key's public half has SHA-256 %s",
			ErrKeyMismatch, c.Leaf.Subject, c.thumbprint(), keyThumbprintHex(pub))
	}
	return nil
}

// checkKey reports why a public key isn't one that can sign assertions.
func checkKey(pub crypto.PublicKey) error {
	err := jws.CheckKey(pub)
	switch {
	case errors.Is(err, jws.ErrNoKey):
		return fmt.Errorf("%w: %w", ErrNoPrivateKey, err)
	case errors.Is(err, jws.ErrKeySize):
		return fmt.Errorf("%w: %w", ErrKeySize, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

// isSameKey reports whether two public keys are the same one.
func isSameKey(a, b crypto.PublicKey) bool {
	if x, ok := a.(*rsa.PublicKey); ok { // its Equal makes copies of both, and this is for each request
		y, ok := b.(*rsa.PublicKey)
		return ok && x.E == y.E && x.N != nil && y.N != nil && x.N.Cmp(y.N) == 0
	}
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// isNilKey reports whether a signer is a nil key of Go's, as a failed lookup of a key
// leaves it in an interface that isn't nil.
func isNilKey(s crypto.Signer) bool {
	switch key := s.(type) {
	case *rsa.PrivateKey:
		return key == nil
	case *ecdsa.PrivateKey:
		return key == nil
	case ed25519.PrivateKey:
		return len(key) != ed25519.PrivateKeySize // its methods would panic
	case *ed25519.PrivateKey:
		return key == nil || len(*key) != ed25519.PrivateKeySize
	}
	return false
}

// publicKey is the key's public half, or nil.
func (c *Certificate) publicKey() crypto.PublicKey {
	if c.Signer == nil || isNilKey(c.Signer) {
		return nil
	}
	return c.Signer.Public()
}

// Valid reports why the certificate can't sign at the given time: the error wraps
// [ErrExpired] or [ErrNotYetValid]. Within its validity it returns nil. A key alone is
// always valid.
func (c *Certificate) Valid(now time.Time) error { return public(c.valid(now)) }

// valid is Valid for this package.
func (c *Certificate) valid(now time.Time) error {
	switch {
	case c.Leaf == nil:
		return nil
	case now.Before(c.Leaf.NotBefore):
		return fmt.Errorf("%w: %q is valid from %s; check the clock of this machine",
			ErrNotYetValid, c.Leaf.Subject, c.Leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.Leaf.NotAfter):
		return fmt.Errorf("%w: %q ended on %s; make or fetch a new one and register it",
			ErrExpired, c.Leaf.Subject, c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// thumbprints returns those of the present leaf or key, which the user may have replaced.
func (c *Certificate) thumbprints() *thumbprints {
	known := c.digests
	if c.Leaf == nil {
		pub := c.publicKey()
		if known != nil && known.leaf == nil && isSameKey(pub, known.key) {
			return known
		}
		return thumbprintsOfKey(pub)
	}
	if known != nil && known.leaf == c.Leaf {
		return known
	}
	return thumbprintsOf(c.Leaf)
}

// sha256 identifies the certificate or, where there is none, the key.
func (c *Certificate) sha256() [sha256.Size]byte { return c.thumbprints().sha256 }

// thumbprint is the SHA-256 by which errors and events name a certificate, in hex. A key
// alone is named by its JWK thumbprint, which is written in base64url (RFC 7638).
func (c *Certificate) thumbprint() string {
	sum := c.sha256()
	if c.Leaf == nil {
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return hex.EncodeToString(sum[:])
}

// title names the certificate or the key within an error.
func (c *Certificate) title() string {
	if c.Leaf == nil {
		return fmt.Sprintf("key id %q", c.KeyID)
	}
	return "SHA-256 " + c.thumbprint()
}

// isSameAs reports whether the server would take both for the same: the same certificate,
// or the same key with the same key id. It may be called with anything.
func (c *Certificate) isSameAs(d *Certificate) bool {
	switch {
	case c == nil || d == nil || (c.Leaf == nil) != (d.Leaf == nil):
		return false
	case c.Leaf == nil:
		return c.KeyID == d.KeyID && isSameKey(c.publicKey(), d.publicKey())
	}
	return bytes.Equal(c.Leaf.Raw, d.Leaf.Raw)
}

// begins is when the certificate's validity begins; zero for a key alone.
func (c *Certificate) begins() time.Time {
	if c.Leaf == nil {
		return time.Time{}
	}
	return c.Leaf.NotBefore
}

// ends is when the certificate's validity ends; zero for a key alone, which doesn't end.
func (c *Certificate) ends() time.Time {
	if c.Leaf == nil {
		return time.Time{}
	}
	return c.Leaf.NotAfter
}

// sha1Hex is the thumbprint as portals and Windows show it, for people to compare. It
// only names the certificate; nothing is protected by it.
func (c *Certificate) sha1Hex() string { return fmt.Sprintf("%X", c.thumbprints().sha1()) }

// keyThumbprintHex names a public key, for errors: the SHA-256 of its
// SubjectPublicKeyInfo, as "openssl pkey -pubout -outform DER | openssl sha256" prints it.
func keyThumbprintHex(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// pair is c in the form in which internal/mtls presents it in TLS handshakes. Leaf must
// not be nil.
func (c *Certificate) pair() *mtls.Pair {
	return &mtls.Pair{Leaf: c.Leaf, Chain: c.Chain, Signer: c.Signer, Valid: c.Valid}
}
