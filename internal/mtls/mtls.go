// Package mtls makes connections that present a certificate in the TLS handshake (RFC
// 8705), and knows which certificate is in use while it is being replaced. It knows
// neither tokens nor where certificates come from.
//
//	mtls.go       certificates that tokens are bound to, and connections to the token endpoint
//	presenter.go  connections to resources
package mtls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
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

	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/panics"
)

// Pair is a certificate with the signer of its key.
type Pair struct {
	Leaf   *x509.Certificate
	Chain  []*x509.Certificate
	Signer crypto.Signer
	Valid  func(time.Time) error // why it may not be presented at that time, or nil
}

// contextSigner is a signer whose work can be cancelled.
type contextSigner interface {
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Binding is a certificate that tokens are bound to, with the connections that
// present it to the token endpoint.
type Binding struct {
	sum   [sha256.Size]byte
	age   int // a newer binding has a greater one
	noPSS bool
	pair  atomic.Pointer[Pair] // the last one with this sum: a source may have renewed its signer
	http  *http.Client
}

// Sum is the SHA-256 of the certificate.
func (b *Binding) Sum() [sha256.Size]byte { return b.sum }

// Pair is the certificate with its signer.
func (b *Binding) Pair() *Pair { return b.pair.Load() }

// NotAfter is the certificate's end.
func (b *Binding) NotAfter() time.Time { return b.pair.Load().Leaf.NotAfter }

// Client has the connections to the token endpoint. Of a nil binding it is nil.
func (b *Binding) Client() *http.Client {
	if b == nil {
		return nil
	}
	return b.http
}

// Bindings are those of one client: the one in use, and the next one, which no token was
// granted with yet. It may be used from many goroutines.
type Bindings struct {
	base    *http.Client
	noPSS   bool
	current atomic.Pointer[Binding]

	mu   sync.Mutex // guards the rest, and changes of current
	next *Binding
	made int // how many bindings were made
}

// New makes bindings whose connections are made like those of base. With noPSS they do
// without RSASSA-PSS, which some signers can't do.
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

// Adopt makes a binding the one in use. It is called with the binding of each token that
// was granted: only then is it known that the server takes the certificate.
func (s *Bindings) Adopt(b *Binding) {
	if b == nil || b == s.current.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current.Load()
	if old != nil && b.age <= old.age {
		return // a late answer to a request with an older certificate
	}
	s.current.Store(b)
	if s.next == b {
		s.next = nil
	}
	old.drain()
}

// InUse reports whether tokens of a binding are handed out.
func (s *Bindings) InUse(b *Binding) bool { return b == s.current.Load() }

// Close closes the connections of all bindings, each as soon as it is unused.
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

// idleLimit is how long an unused connection is kept where the base transport would keep
// it for ever. A connection with an old certificate must end at some time.
const idleLimit = 90 * time.Second

// transport makes a copy of base whose connections present the certificate. Everything
// else is as the base has it, above all how the server's certificate is verified.
func (b *Binding) transport(base http.RoundTripper) (*http.Transport, error) {
	if err := canPresent(base); err != nil {
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
	// A session remembers the certificate that its first connection presented, and a resumed
	// connection presents none: it would stand for an old certificate after a renewal.
	t.TLSClientConfig.ClientSessionCache = nil
	if b.noPSS {
		t.TLSClientConfig.MaxVersion = tls.VersionTLS12 // 1.3 signs with RSA by PSS only
	}
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = idleLimit
	}
	return t, nil
}

// CheckBase reports why a transport can't be made to present a certificate, or why nobody
// could know which one is meant.
func CheckBase(base http.RoundTripper) error {
	if err := canPresent(base); err != nil {
		return err
	}
	t, ok := base.(*http.Transport)
	if !ok || t.TLSClientConfig == nil ||
		len(t.TLSClientConfig.Certificates) == 0 && t.TLSClientConfig.GetClientCertificate == nil {
		return nil
	}
	return errors.New("to present the client's certificate in TLS, the *http.Transport must not have one of its own in " +
		"its TLSClientConfig; if TLS is to have another certificate than the one that signs, leave out the option that " +
		"presents the client's (WithCertificateBoundTokens), and give the mTLS endpoint to Issuer")
}

func canPresent(base http.RoundTripper) error {
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

// present is a tls.Config's GetClientCertificate. The issuers that the server names are
// not looked at: a self-signed certificate may be registered there all the same.
func (b *Binding) present(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p := b.pair.Load()
	if err := p.Valid(time.Now()); err != nil {
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
	if _, isRSA := p.Leaf.PublicKey.(*rsa.PublicKey); b.noPSS && isRSA {
		shown.SupportedSignatureAlgorithms = []tls.SignatureScheme{
			tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
		}
	}
	return shown, nil
}

// handshakeSigner is the signer of one handshake. It passes the handshake's context on, so
// that a remote signature ends with it.
type handshakeSigner struct {
	ctx    context.Context
	signer crypto.Signer
}

func (s handshakeSigner) Public() crypto.PublicKey { return s.signer.Public() }

// Sign makes of a panic of the signer an error. Handshakes run in goroutines of net/http,
// where a panic would end the program.
func (s handshakeSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error("the signer", p)
		}
	}()
	if remote, ok := s.signer.(contextSigner); ok {
		signature, err = remote.SignContext(s.ctx, digest, opts)
	} else {
		signature, err = s.signer.Sign(rand, digest, opts)
	}
	if pub, ok := s.signer.Public().(*ecdsa.PublicKey); ok && err == nil {
		return jws.ASN1(pub, digest, signature) // a vault or a token may return r and s
	}
	return signature, err
}
