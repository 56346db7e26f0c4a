// Package mtls makes connections that present a certificate, and knows which
// certificate is the one in use while it rotates.
package mtls

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/panics"
)

// Pair is a certificate with the signer of its key.
type Pair struct {
	Leaf   *x509.Certificate
	Chain  []*x509.Certificate
	Signer crypto.Signer
	Usable func(time.Time) error // whether it may be presented
}

// contextSigner is a signer whose work can be cancelled.
type contextSigner interface {
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Binding is a certificate that tokens are bound to, with the connections that
// present it to the token endpoint.
type Binding struct {
	sum   [sha256.Size]byte
	age   int // greater is newer
	noPSS bool
	pair  atomic.Pointer[Pair] // the last of this sum: its signer is the one that works
	http  *http.Client
}

// Sum is the SHA-256 of the certificate.
func (b *Binding) Sum() [sha256.Size]byte { return b.sum }

// NotAfter is the certificate's end.
func (b *Binding) NotAfter() time.Time { return b.pair.Load().Leaf.NotAfter }

// Client has the connections to the token endpoint; nil of no binding.
func (b *Binding) Client() *http.Client {
	if b == nil {
		return nil
	}
	return b.http
}

// Bindings are those of a client: the one in use, and one that no token was
// granted to yet.
type Bindings struct {
	base    *http.Client
	noPSS   bool
	current atomic.Pointer[Binding]

	mu   sync.Mutex // guards the rest, and changes of current
	next *Binding
	made int
}

// New makes bindings whose connections are made as those of base, without
// RSASSA-PSS if noPSS.
func New(base *http.Client, noPSS bool) *Bindings { return &Bindings{base: base, noPSS: noPSS} }

// Bind returns the binding of a certificate.
func (s *Bindings) Bind(p *Pair) (*Binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(p.Leaf.Raw)
	for _, b := range []*Binding{s.current.Load(), s.next} {
		if b != nil && b.sum == sum {
			b.pair.Store(p)
			return b, nil
		}
	}
	b := &Binding{sum: sum, age: s.made, noPSS: s.noPSS}
	b.pair.Store(p)
	own := *s.base
	transport, err := b.transport(own.Transport)
	if err != nil {
		return nil, err
	}
	own.Transport = transport
	b.http = &own
	s.made++
	s.next.drain()
	s.next = b
	return b, nil
}

// Adopt makes the binding of a token that was granted the one in use.
func (s *Bindings) Adopt(b *Binding) {
	if b == nil || b == s.current.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current.Load()
	if old != nil && b.age <= old.age {
		return // a slow answer to the certificate before
	}
	s.current.Store(b)
	if s.next == b {
		s.next = nil
	}
	old.drain()
}

// InUse reports whether tokens of a binding are handed out.
func (s *Bindings) InUse(b *Binding) bool { return b == s.current.Load() }

// Close closes what is left at the client's end.
func (s *Bindings) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Load().drain()
	s.next.drain()
}

// drain closes a binding's connections as they fall idle.
func (b *Binding) drain() {
	if b != nil {
		b.http.CloseIdleConnections()
	}
}

// idleLimit is how long an idle connection is kept where the base transport
// keeps it for ever: one with an old certificate must end.
const idleLimit = 90 * time.Second

// transport makes a copy of base whose connections present the certificate.
func (b *Binding) transport(base http.RoundTripper) (*http.Transport, error) {
	if err := CheckBase(base); err != nil {
		return nil, err
	}
	if base == nil {
		base = http.DefaultTransport
	}
	t := base.(*http.Transport).Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	t.TLSClientConfig.Certificates = nil
	t.TLSClientConfig.GetClientCertificate = b.present
	t.TLSClientConfig.ClientSessionCache = nil // a session remembers the certificate that it began with
	if b.noPSS {
		t.TLSClientConfig.MaxVersion = tls.VersionTLS12 // 1.3 has nothing but PSS for RSA
	}
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = idleLimit
	}
	return t, nil
}

// CheckBase reports why a transport can't be made to present a certificate.
func CheckBase(base http.RoundTripper) error {
	if base == nil {
		base = http.DefaultTransport
	}
	t, ok := base.(*http.Transport)
	switch {
	case !ok:
		return fmt.Errorf("to present the certificate in TLS, the transport must be an *http.Transport, not %T", base)
	case t == nil:
		return errors.New("the *http.Transport is nil")
	//lint:ignore SA1019 it is still obeyed
	case t.DialTLSContext != nil || t.DialTLS != nil:
		return errors.New("to present the certificate in TLS, the *http.Transport must not have a DialTLS of its own")
	}
	return nil
}

// present is a tls.Config's GetClientCertificate. The certificate is sent
// whatever issuers the server names: it may be self-signed and registered.
func (b *Binding) present(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p := b.pair.Load()
	if err := p.Usable(time.Now()); err != nil {
		return nil, err
	}
	shown := &tls.Certificate{
		Certificate: [][]byte{p.Leaf.Raw},
		PrivateKey:  handshakeSigner{info.Context(), p.Signer},
		Leaf:        p.Leaf,
	}
	for _, issuer := range p.Chain {
		shown.Certificate = append(shown.Certificate, issuer.Raw)
	}
	if b.noPSS {
		shown.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512}
	}
	return shown, nil
}

// handshakeSigner gives a contextSigner the context of the handshake.
type handshakeSigner struct {
	ctx    context.Context
	signer crypto.Signer
}

func (s handshakeSigner) Public() crypto.PublicKey { return s.signer.Public() }

// Sign survives a signer that panics: it runs in a goroutine of net/http, where
// nobody else would.
func (s handshakeSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error(p)
		}
	}()
	if remote, ok := s.signer.(contextSigner); ok {
		return remote.SignContext(s.ctx, digest, opts)
	}
	return s.signer.Sign(rand, digest, opts)
}
