package certtokentest

import (
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/certtoken/certtoken/certtokentest/internal/inprocess"
	"github.com/certtoken/certtoken/certtokentest/internal/wire"
)

// Server is a token endpoint. Make one with [New], [Start] or [NewServer]. All
// methods may be called from many goroutines, also while it answers requests.
type Server struct {
	endpoint *endpoint
	mounts   inprocess.Mounts
	wire     *wire.Wire // nil without a socket
	closed   atomic.Bool
	graph    *Resource // nil without WithGraph
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
	s.addGraph(s.endpoint.cfg.origin())
	return s
}

// Start returns a server that listens on loopback with TLS, until its Close.
// Errors are mistakes in an option, and a failure to listen.
func Start(opts ...Option) (*Server, error) {
	s, err := newServer(opts)
	if err != nil {
		return nil, err
	}
	s.endpoint.announceTLS = true
	cfg := &s.endpoint.cfg
	s.wire, err = wire.Listen(wire.Config{Handler: s, Names: cfg.tlsNames, TLSFailure: cfg.tlsFailure})
	if err != nil {
		return nil, err
	}
	s.addGraph(s.wire.URL())
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
	return &Server{endpoint: newEndpoint(cfg)}, nil
}

// addGraph puts Microsoft Graph at the server's address, if it is asked for.
func (s *Server) addGraph(origin string) {
	if s.endpoint.cfg.graph == nil {
		return
	}
	s.graph = newGraph(s.endpoint, origin)
	for _, version := range []string{"/v1.0/", "/beta/"} {
		s.Handle(version, s.graph)
	}
}

// Close stops listening, breaks the connections and waits for the requests in
// progress. It may be called more than once. A server without a socket refuses
// connections from then on.
func (s *Server) Close() {
	s.closed.Store(true)
	if s.wire != nil {
		s.wire.Close()
	}
}

// ServeHTTP implements [http.Handler], so that the server can stand behind
// another one. The scheme and host of the request are part of the audience that
// an assertion must have.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := s.mounts.Handler(r); handler != nil {
		s.endpoint.log.count()
		handler.ServeHTTP(w, r)
		return
	}
	s.endpoint.handle(r).Serve(w, r)
}

// Handle lets the server answer a pattern of [http.ServeMux], which may name a
// host, by a handler: an API that wants the tokens, for instance, so that it
// is reached through [Server.Client] too. It comes before the server's own
// paths. Like ServeMux it panics when patterns conflict.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mounts.Add(pattern, handler) }

// Client returns an HTTP client that reaches the server, whatever host a URL
// names, and trusts its CA, which vouches for every host. Without a socket no
// connection is made. Its redirects and time limit are http.Client's defaults.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: s.Transport()}
}

// Transport is the RoundTripper of [Server.Client].
func (s *Server) Transport() http.RoundTripper {
	if s.wire != nil {
		return s.wire.Transport()
	}
	return s.RoundTripper()
}

// RoundTripper answers every request in the caller's goroutine without a
// connection, for a server with a socket too. Delays use package time and end
// with the request's context.
func (s *Server) RoundTripper() http.RoundTripper {
	return &inprocess.Socketless{Handler: s, Closed: &s.closed}
}

// CertPool holds the CA of the server's TLS certificate. It is empty without a
// socket.
func (s *Server) CertPool() *x509.CertPool {
	if s.wire == nil {
		return x509.NewCertPool()
	}
	return s.wire.CertPool()
}

// CAPEM is the CA of the server's TLS certificate in PEM, for programs that read
// it from a file. It is empty without a socket.
func (s *Server) CAPEM() []byte {
	if s.wire == nil {
		return nil
	}
	return s.wire.CAPEM()
}

// Connections are how many connections were opened to the server's socket, and how
// many of them were open at once at most. Without a socket there are none.
func (s *Server) Connections() (opened, peak int) {
	if s.wire == nil {
		return 0, 0
	}
	return s.wire.Connections()
}
