package certtoken

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// hostMTLS is where Entra ID grants tokens that are bound to a certificate.
const hostMTLS = "mtlsauth.microsoft.com"

// typeMTLSPoP is the type, and the Authorization scheme, of such a token.
const typeMTLSPoP = "mtls_pop"

// WithTLSClientAuth proves the client by its certificate in the TLS handshake
// and sends no assertion (tls_client_auth and self_signed_tls_client_auth, RFC
// 8705 §2). Everything that [WithCertificateBoundTokens] says holds as well.
func WithTLSClientAuth() AuthorityOption { return func(a *Authority) { a.tlsAuth = true } }

// WithCertificateBoundTokens presents the certificate in the TLS handshake of
// token requests, beside the assertion, so that the server can bind its tokens
// to it (RFC 8705 §3); [Client.Transport] presents it to the resource. What
// [Discover] found as the server's endpoint for this is used.
//
// A token is handed out as long as its certificate is the one in use: after a
// rotation, from the first token that the new certificate was granted, others
// are acquired anew, and new connections are made while the old ones drain. An
// http.Client and a base transport must be, or be made of, [*http.Transport].
func WithCertificateBoundTokens() AuthorityOption { return func(a *Authority) { a.tlsBound = true } }

// WithMTLSPoP asks Entra ID for tokens that are bound to the certificate, of the
// type mtls_pop: the certificate goes into the TLS handshake with
// mtlsauth.microsoft.com, and no assertion is sent. For what follows from it see
// [WithCertificateBoundTokens]. It is made from its documentation and was not
// tried against the live service.
func WithMTLSPoP() AuthorityOption { return func(a *Authority) { a.pop = true } }

// WithoutPSS is for signers that can't do RSASSA-PSS: TLS connections with the
// client's certificate stay at TLS 1.2, and assertions are signed with the RS
// algorithm of the same hash.
func WithoutPSS() AuthorityOption { return func(a *Authority) { a.noPSS = true } }

// presents tells whether the certificate is shown in TLS handshakes.
func (a Authority) presents() bool { return a.tlsAuth || a.tlsBound || a.pop }

// asserts tells whether token requests carry an assertion.
func (a Authority) asserts() bool { return !a.tlsAuth && !a.pop }

// mtlsHost moves an Entra authority to the host for bound tokens.
func (a *Authority) mtlsHost() {
	switch {
	case a.host == "":
		a.fail("WithMTLSPoP is for Entra ID; elsewhere it is WithTLSClientAuth or WithCertificateBoundTokens")
	case a.region != "":
		a.fail("WithMTLSPoP and WithRegion exclude each other; WithHost names any host")
	case a.host == hostEntra:
		a.host = hostMTLS
	case a.host == a.cloud || a.oneTenant:
		a.fail("WithMTLSPoP is for Entra ID's public cloud; WithHost names any host")
	}
}

// binding is a certificate that tokens are bound to, with the connections that
// present it to the token endpoint.
type binding struct {
	sum   [sha256.Size]byte
	age   int // greater is newer
	noPSS bool
	cert  atomic.Pointer[Certificate] // the last of this sum: its signer is the one that works
	http  *http.Client
}

// bindings are those of a client: the one in use, and one that no token was
// granted to yet.
type bindings struct {
	current atomic.Pointer[binding]

	mu   sync.Mutex // guards the rest, and changes of current
	next *binding
	made int
}

// bind returns the binding of a certificate.
func (c *Client) bind(cert *Certificate) (*binding, error) {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	sum := cert.sha256()
	for _, b := range []*binding{c.bound.current.Load(), c.bound.next} {
		if b != nil && b.sum == sum {
			b.cert.Store(cert)
			return b, nil
		}
	}
	b := &binding{sum: sum, age: c.bound.made, noPSS: c.authority.noPSS}
	b.cert.Store(cert)
	own := *c.exchanger.http
	transport, err := b.transport(own.Transport)
	if err != nil {
		return nil, err
	}
	own.Transport = transport
	b.http = &own
	c.bound.made++
	c.bound.next.drain()
	c.bound.next = b
	return b, nil
}

// adopt makes the binding of a token that was granted the one in use.
func (c *Client) adopt(b *binding) {
	old := c.bound.current.Load()
	if b == nil || b == old {
		return
	}
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	if old = c.bound.current.Load(); old != nil && b.age <= old.age {
		return // a slow answer to the certificate before
	}
	c.bound.current.Store(b)
	if c.bound.next == b {
		c.bound.next = nil
	}
	old.drain()
}

// drain closes a binding's connections as they fall idle.
func (b *binding) drain() {
	if b != nil {
		b.http.CloseIdleConnections()
	}
}

// unbound closes what is left at the client's end.
func (c *Client) unbound() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	c.bound.current.Load().drain()
	c.bound.next.drain()
}

// presentable tells whether a token is bound to the certificate in use, or to none.
func (c *Client) presentable(t *Token) bool {
	return !c.presents || t.secret().user().binding == c.bound.current.Load()
}

// boundIdle is how long an idle connection is kept where the base transport
// keeps it for ever: one with an old certificate must end.
const boundIdle = 90 * time.Second

// transport makes a copy of base whose connections present the certificate.
func (b *binding) transport(base http.RoundTripper) (*http.Transport, error) {
	if err := checkBase(base); err != nil {
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
		t.IdleConnTimeout = boundIdle
	}
	return t, nil
}

// checkBase tells whether a transport can be made to present a certificate.
func checkBase(base http.RoundTripper) error {
	if base == nil {
		base = http.DefaultTransport
	}
	t, ok := base.(*http.Transport)
	switch {
	case !ok:
		return fmt.Errorf("certtoken: to present the certificate in TLS, the transport must be an *http.Transport, not %T", base)
	case t == nil:
		return errors.New("certtoken: the *http.Transport is nil")
	//lint:ignore SA1019 it is still obeyed
	case t.DialTLSContext != nil || t.DialTLS != nil:
		return errors.New("certtoken: to present the certificate in TLS, the *http.Transport must not have a DialTLS of its own")
	}
	return nil
}

// present is a tls.Config's GetClientCertificate. The certificate is sent
// whatever issuers the server names: it may be self-signed and registered.
func (b *binding) present(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert := b.cert.Load()
	if err := cert.usable(time.Now()); err != nil {
		return nil, err
	}
	shown := &tls.Certificate{
		Certificate: [][]byte{cert.Leaf.Raw},
		PrivateKey:  handshakeSigner{info.Context(), cert.Signer},
		Leaf:        cert.Leaf,
	}
	for _, issuer := range cert.Chain {
		shown.Certificate = append(shown.Certificate, issuer.Raw)
	}
	if b.noPSS {
		shown.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512}
	}
	return shown, nil
}

// handshakeSigner gives a ContextSigner the context of the handshake.
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
			err = panicError(p)
		}
	}()
	if remote, ok := s.signer.(ContextSigner); ok {
		return remote.SignContext(s.ctx, digest, opts)
	}
	return s.signer.Sign(rand, digest, opts)
}

// presenter makes connections to resources with the certificate that a token is
// bound to: those of the newest certificate are kept.
type presenter struct {
	base   http.RoundTripper
	client *Client // at whose end the connections end

	mu      sync.Mutex // guards the rest
	binding *binding
	kept    *http.Transport
}

func (p *presenter) of(b *binding) (http.RoundTripper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b == nil {
		return nil, errors.New("certtoken: the token is bound to no certificate")
	}
	if b == p.binding {
		return p.kept, nil
	}
	t, err := b.transport(p.base)
	if err != nil {
		return nil, err
	}
	if p.binding != nil && b.age < p.binding.age { // a last request with the old certificate
		t.DisableKeepAlives = true
		return t, nil
	}
	if p.kept != nil {
		p.kept.CloseIdleConnections()
	}
	p.binding, p.kept = b, t
	closeWith(p.client.ctx, t)
	return t, nil
}

// closeWith closes a transport's connections, as they fall idle, when ctx ends. A
// transport that was forgotten before isn't held.
func closeWith(ctx context.Context, t *http.Transport) {
	held := weak.Make(t)
	stop := context.AfterFunc(ctx, func() {
		if t := held.Value(); t != nil {
			t.CloseIdleConnections()
		}
	})
	runtime.AddCleanup(t, func(stop func() bool) { stop() }, stop)
}

func (p *presenter) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept != nil {
		p.kept.CloseIdleConnections()
	}
}

// checkType refuses a token that isn't bound where one that is was asked for.
func (r *requestRun) checkType(g answer) error {
	if !r.authority.pop || strings.EqualFold(g.typ, typeMTLSPoP) {
		return nil
	}
	return fmt.Errorf("certtoken: %s: %w: a token of type %s where %s was asked for",
		endpointName(r.authority.tokenURL), ErrBadResponse, shorten(g.typ), typeMTLSPoP)
}
