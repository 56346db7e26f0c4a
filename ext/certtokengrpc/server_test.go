package certtokengrpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	clientID = "6731de76-14a6-49ae-97bc-6eba6914391e"
	audience = "api://billing"
	scope    = audience + "/.default"
)

// world is a token endpoint, a gRPC server over TLS that wants its tokens, and
// a client that has them.
type world struct {
	t        *testing.T
	endpoint *certtokentest.Server
	api      *certtokentest.Resource
	tokens   *certtoken.Client
	creds    *certtokengrpc.Credentials
	addr     string
	roots    *x509.CertPool

	mu   sync.Mutex
	seen []string // authorization of each call that was let through
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, endpoint: certtokentest.New()}
	w.api = w.endpoint.Resource(audience, nil)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	w.endpoint.Register(clientID, cert.Leaf)
	var err error
	w.tokens, err = certtoken.NewClient(
		w.endpoint.Authority(),
		clientID,
		cert,
		certtoken.WithHTTPClient(w.endpoint.Client()),
	)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.tokens.Close() })
	w.creds = certtokengrpc.New(w.tokens, scope)

	serverCert, roots := newTLSCertificate(t)
	w.roots = roots
	w.addr = w.serve(credentials.NewServerTLSFromCert(&serverCert))
	return w
}

// serve starts a server that checks tokens and returns its address.
func (w *world) serve(transport credentials.TransportCredentials) string {
	w.t.Helper()
	server := grpc.NewServer(
		grpc.Creds(transport),
		grpc.UnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				if err := w.check(ctx); err != nil {
					return nil, err
				}
				return next(ctx, req)
			},
		),
		grpc.StreamInterceptor(
			func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				if err := w.check(stream.Context()); err != nil {
					return err
				}
				return next(srv, stream)
			},
		),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	w.t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// check lets the resource judge the token, as it judges that of an HTTP request.
func (w *world) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header["Authorization"] = md.Get("authorization")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		return status.Error(codes.Unauthenticated, rec.Header().Get("WWW-Authenticate"))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, md.Get("authorization")...)
	return nil
}

// tokensSeen are the different tokens that were let through.
func (w *world) tokensSeen() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make(map[string]int)
	for _, s := range w.seen {
		seen[s]++
	}
	return seen
}

// dial returns a client of the server over TLS.
func (w *world) dial(opts ...grpc.DialOption) grpc_health_v1.HealthClient {
	w.t.Helper()
	return grpc_health_v1.NewHealthClient(w.connect(w.addr, append(opts,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: w.roots})),
		grpc.WithPerRPCCredentials(w.creds))...))
}

func (w *world) connect(addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient(addr, opts...)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// check calls the server and returns the status.
func check(ctx context.Context, api grpc_health_v1.HealthClient) error {
	_, err := api.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

// watch makes a streaming call, of which it reads the first message.
func watch(ctx context.Context, api grpc_health_v1.HealthClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := api.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// newTLSCertificate makes a certificate for a server on this machine.
func newTLSCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}
