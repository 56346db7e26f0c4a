package certtokentest

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
)

// Server is a token endpoint. Make one with [New], [Start] or [NewServer]. All
// methods may be called from many goroutines, also while it answers requests.
type Server struct {
	cfg     config
	clients registry
	used    usedSet
	grants  grantLog
	users   userLog
	faults  faultPlan
	log     requestLog
	mounts  mounts
	wire    *wire // nil without a socket

	mu     sync.Mutex // guards the rest
	tune   tuning
	closed bool
}

var _ http.Handler = (*Server)(nil)

// New returns a server without a socket: its [Server.Client] answers in the
// caller's goroutine, for every host. It needs no closing, and works inside a
// testing/synctest bubble. A mistake in an option panics.
//
// A client that presents its certificate in TLS needs a connection: [NewServer]
// or [Start].
func New(opts ...Option) *Server {
	s, err := newServer(opts)
	if err != nil {
		panic(err)
	}
	return s
}

// Start returns a server that listens on loopback with TLS, until its Close.
// Errors are mistakes in an option, and a failure to listen.
func Start(opts ...Option) (*Server, error) {
	s, err := newServer(opts)
	if err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// NewServer is [Start] for a test, which fails if that does; the server is
// closed when the test ends.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newServer(opts []Option) (*Server, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, tune: cfg.tuning}
	s.log.limit = cfg.requestLimit
	return s, nil
}

// Close stops listening, breaks the connections and waits for the requests in
// progress. It may be called more than once. A server without a socket refuses
// connections from then on.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.wire != nil {
		s.wire.close()
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// URL is the server's origin, without a trailing slash: its loopback address, or
// without a socket the host that it stands for.
func (s *Server) URL() string {
	switch {
	case s.wire != nil:
		return s.wire.url
	case !s.cfg.generic:
		return "https://" + entraHost
	case s.cfg.issuer != "":
		return origin(s.cfg.issuer)
	}
	return genericOrigin
}

// Issuer is the server's issuer identifier: what [WithIssuer] says, else its
// URL, for Entra ID with the tenant that Authority names.
func (s *Server) Issuer() string {
	switch {
	case !s.cfg.generic:
		return s.URL() + "/" + s.tenant() + "/v2.0"
	case s.cfg.issuer != "":
		return s.cfg.issuer
	}
	return s.URL()
}

// TokenURL is the token endpoint, for Entra ID that of the tenant that Authority
// names.
func (s *Server) TokenURL() string {
	if s.cfg.generic {
		return s.URL() + s.issuerPath() + "/token"
	}
	return s.URL() + "/" + s.tenant() + "/oauth2/v2.0/token"
}

// Authority is how a client addresses the server with the assertion that it
// wants: Entra ID's at the loopback address, [certtoken.Entra] itself without a
// socket, [certtoken.Issuer] with [WithIssuer].
//
// [Server.Client] reaches the server under any name, so certtoken.Entra(tenant)
// can be used with either form, and is needed for several tenants.
func (s *Server) Authority(opts ...certtoken.AuthorityOption) certtoken.Authority {
	switch {
	case s.cfg.generic:
		return certtoken.Issuer(s.Issuer(), s.TokenURL(), opts...)
	case s.wire == nil:
		return certtoken.Entra(s.tenant(), opts...)
	}
	dialect := []certtoken.AuthorityOption{
		certtoken.WithAlgorithm(certtoken.PS256),
		certtoken.WithAudience(s.TokenURL()),
		certtoken.WithAssertionType("JWT"),
		certtoken.WithLifetime(5 * time.Minute),
	}
	return certtoken.Issuer(s.Issuer(), s.TokenURL(), append(dialect, opts...)...)
}

// tenant is the one that Authority names.
func (s *Server) tenant() string {
	if len(s.cfg.tenants) > 0 {
		return s.cfg.tenants[0]
	}
	return DefaultTenant
}

// issuerPath is the path of a generic issuer, "" mostly.
func (s *Server) issuerPath() string {
	u, err := url.Parse(s.cfg.issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// Client returns an HTTP client that reaches the server, whatever host a URL
// names, and trusts its CA, which vouches for every host. Without a socket no
// connection is made. Its redirects and time limit are http.Client's defaults.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: s.Transport()}
}

// Transport is the RoundTripper of [Server.Client].
func (s *Server) Transport() http.RoundTripper {
	if s.wire != nil {
		return s.wire.transport
	}
	return s.RoundTripper()
}

// RoundTripper answers every request in the caller's goroutine without a
// connection, for a server with a socket too. Delays use package time and end
// with the request's context.
func (s *Server) RoundTripper() http.RoundTripper { return &socketless{s} }

// CertPool holds the CA of the server's TLS certificate. It is empty without a
// socket.
func (s *Server) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	if s.wire != nil {
		pool.AddCert(s.wire.ca)
	}
	return pool
}

// CAPEM is the CA of the server's TLS certificate in PEM, for programs that read
// it from a file. It is empty without a socket.
func (s *Server) CAPEM() []byte {
	if s.wire == nil {
		return nil
	}
	return encodeCertPEM(s.wire.ca)
}

// SetLifetime changes how long tokens are valid from now on.
func (s *Server) SetLifetime(d time.Duration) { s.retune(func(t *tuning) { t.lifetime = d }) }

// SetRefreshIn changes refresh_in from now on; 0 sends none.
func (s *Server) SetRefreshIn(d time.Duration) { s.retune(func(t *tuning) { t.refreshIn = d }) }

// SetClockOffset sets the server's clock ahead of the machine's, or behind.
func (s *Server) SetClockOffset(d time.Duration) { s.retune(func(t *tuning) { t.offset = d }) }

// SetGrantedScope sets the scope of every response from now on.
func (s *Server) SetGrantedScope(scope string) { s.retune(func(t *tuning) { t.granted = &scope }) }

func (s *Server) retune(change func(*tuning)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.tune)
}

func (s *Server) tuned() tuning {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tune
}

// now is the time on the server's clock.
func (s *Server) now() time.Time { return time.Now().Add(s.tuned().offset) }

var errClosed = errors.New("certtokentest: the server is closed")
