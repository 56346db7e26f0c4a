package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) {
	if ways := os.Getenv(wayOut); ways != "" {
		os.Exit(leadOut(ways, os.Args[1:]))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // most of the time is spent waiting
		panic(err)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // zitadel/oidc logs every refusal
	goleak.VerifyTestMain(leaktest.Patient(endsServers{m}, goleak.Find, keptGoroutines...), keptGoroutines...)
}

// keptGoroutines are those of fosite's cache of JWK Sets, which nothing closes.
var keptGoroutines = []goleak.Option{
	goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto.(*Cache[...]).processItems"),
	goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto.(*defaultPolicy[...]).processItems"),
}

// endsServers ends what all tests share, before goroutines are counted.
type endsServers struct{ *testing.M }

func (m endsServers) Run() int {
	code := m.M.Run()
	for _, s := range shared {
		if said := s.stop(); code != 0 && said != "" {
			fmt.Fprintf(os.Stderr, "%s wrote:\n%s\n", s, said)
		}
	}
	return code
}

// newCertificate makes a certificate once for each name: its key is what takes
// time.
func newCertificate(t *testing.T, name string, opts ...certtokentest.CertOption) *certtoken.Certificate {
	t.Helper()
	certificates.Lock()
	defer certificates.Unlock()
	if c := certificates.byName[name]; c != nil {
		return c
	}
	c, err := certtokentest.MakeCertificate(append(opts, certtokentest.WithSubject(name))...)
	require.NoError(t, err)
	certificates.byName[name] = c
	return c
}

var certificates = struct {
	sync.Mutex
	byName map[string]*certtoken.Certificate
}{byName: make(map[string]*certtoken.Certificate)}

// tlsCertificate is that of a server on loopback.
type tlsCertificate struct {
	certPEM, keyPEM string
	pool            *x509.CertPool
}

func newTLSCertificate(t *testing.T) tlsCertificate {
	t.Helper()
	c, err := makeTLSCertificate()
	require.NoError(t, err)
	return c
}

func makeTLSCertificate() (c tlsCertificate, err error) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "interop"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, priv.Public(), priv)
	if err != nil {
		return c, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return c, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return c, err
	}
	c = tlsCertificate{
		certPEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		keyPEM:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		pool:    x509.NewCertPool(),
	}
	c.pool.AddCert(leaf)
	return c, nil
}

// client trusts the certificate. Its connections end with the test.
func (c tlsCertificate) client(t *testing.T) *http.Client {
	transport := trusting(c.pool)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: programAnswer}
}

// patient lets a client wait for a server on a machine that is too busy.
var patient = certtoken.WithRequestTimeouts(programAnswer/2, programAnswer)

// discover is certtoken.Discover, and once more where a server was too slow for it.
func discover(
	ctx context.Context, issuer string, opts ...certtoken.AuthorityOption,
) (authority certtoken.Authority, err error) {
	for range 10 {
		began := time.Now()
		authority, err = certtoken.Discover(ctx, issuer, opts...)
		if err == nil || time.Since(began) < prompt {
			break
		}
	}
	return authority, err
}

// serve serves h, to clients that trust the certificate, until the test ends.
func (c tlsCertificate) serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	own, err := tls.X509KeyPair([]byte(c.certPEM), []byte(c.keyPEM))
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

func trusting(pool *x509.CertPool) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
}

// serve starts an HTTP server in this process, which ends with the test.
func serve(t *testing.T, handler func(url string) http.Handler) (url string, client *http.Client) {
	t.Helper()
	var h http.Handler
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	h = handler(srv.URL)
	return srv.URL, srv.Client()
}

// rsaKeyPEM is a new key as PEM, for servers to sign by.
func rsaKeyPEM() (private, public string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})), err
}
