package mtls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

// newPair makes a self-signed certificate that may be presented.
func newPair(t testing.TB, name string) *Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return newPairOf(t, name, key)
}

// newPairOf makes a pair of a key.
func newPairOf(t testing.TB, name string, key crypto.Signer) *Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &Pair{Leaf: leaf, Signer: key, Valid: func(time.Time) error { return nil }}
}

// seen is what a server saw of one request.
type seen struct {
	name    string // of the client's certificate
	resumed bool
}

// server asks for a certificate, and records what it sees.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		one := seen{resumed: r.TLS.DidResume}
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			one.name = certs[0].Subject.CommonName
		}
		s.seen = append(s.seen, one)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs that its certificate is refused
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// trusting is a transport that trusts the server.
func (s *server) trusting() *http.Transport {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// get makes a request on a new connection.
func (s *server) get(t *testing.T, transport http.RoundTripper) error {
	t.Helper()
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	resp, err := client.Get(s.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// both are the two ways by which connections with a certificate are made: to the token
// endpoint and to a resource.
func both(t *testing.T, base *http.Transport, pair *Pair) map[string]http.RoundTripper {
	t.Helper()
	bindings := New(&http.Client{Transport: base}, false)
	t.Cleanup(bindings.Close)
	b, err := bindings.Bind(pair)
	require.NoError(t, err)
	presenter := NewPresenter(t.Context(), base)
	resource, err := presenter.Of(b)
	require.NoError(t, err)
	return map[string]http.RoundTripper{"token endpoint": b.Client().Transport, "resource": resource}
}

// A session remembers the certificate that its first connection presented, so a resumed
// one would present that one in the place of a renewed one.
func TestNoSessionIsResumed(t *testing.T) {
	s := newServer(t)
	base := s.trusting()
	base.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 2 {
		require.NoError(t, s.get(t, base))
	}
	require.Equal(t, []seen{{"", false}, {"", true}}, s.seen, "without a binding the second connection is resumed")
	for name, transport := range both(t, base, newPair(t, "client")) {
		s.seen = nil
		for range 2 {
			require.NoError(t, s.get(t, transport))
		}
		assert.Equal(t, []seen{{"client", false}, {"client", false}}, s.seen, name)
	}
}

// The server must be the right one: a certificate for somebody else, or of an issuer that
// isn't trusted, gets neither our certificate's proof nor the request.
func TestTheServerIsVerified(t *testing.T) {
	s := newServer(t)
	untrusting := &http.Transport{TLSClientConfig: new(tls.Config)}
	other := s.trusting()
	other.TLSClientConfig.ServerName = "other.example"
	for name, transport := range both(t, untrusting, newPair(t, "client")) {
		var unknown x509.UnknownAuthorityError
		assert.ErrorAs(t, s.get(t, transport), &unknown, name)
	}
	for name, transport := range both(t, new(http.Transport), newPair(t, "client")) {
		var unknown x509.UnknownAuthorityError
		assert.ErrorAs(t, s.get(t, transport), &unknown, name)
	}
	for name, transport := range both(t, other, newPair(t, "client")) {
		var host x509.HostnameError
		assert.ErrorAs(t, s.get(t, transport), &host, name)
	}
	assert.Empty(t, s.seen)
}

// The base is copied, and only what presenting a certificate needs is changed.
func TestTheBaseIsCopied(t *testing.T) {
	base := &http.Transport{
		MaxIdleConnsPerHost: 7,
		TLSClientConfig: &tls.Config{
			ServerName: "x.example", MaxVersion: tls.VersionTLS12, Renegotiation: tls.RenegotiateOnceAsClient,
			Certificates: []tls.Certificate{{}}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		},
	}
	for name, made := range both(t, base, newPair(t, "client")) {
		made := made.(*http.Transport)
		assert.NotSame(t, base, made, name)
		assert.Equal(t, 7, made.MaxIdleConnsPerHost, name)
		assert.Equal(t, idleLimit, made.IdleConnTimeout, name)
		cfg := made.TLSClientConfig
		assert.Equal(t, "x.example", cfg.ServerName, name)
		assert.EqualValues(t, tls.VersionTLS12, cfg.MaxVersion, name)
		assert.Equal(t, tls.RenegotiateOnceAsClient, cfg.Renegotiation, name)
		assert.Empty(t, cfg.Certificates, name)
		assert.Nil(t, cfg.ClientSessionCache, name)
		assert.NotNil(t, cfg.GetClientCertificate, name)
	}
	assert.Nil(t, base.TLSClientConfig.GetClientCertificate)
	assert.NotNil(t, base.TLSClientConfig.ClientSessionCache)
	assert.Zero(t, base.IdleConnTimeout)
}

// A certificate that may not be presented any more ends the handshake.
func TestACertificateThatIsOver(t *testing.T) {
	s := newServer(t)
	pair := newPair(t, "client")
	over := errors.New("it is over")
	pair.Valid = func(time.Time) error { return over }
	for name, transport := range both(t, s.trusting(), pair) {
		assert.ErrorIs(t, s.get(t, transport), over, name)
	}
	assert.Empty(t, s.seen)
}

func TestCheckBase(t *testing.T) {
	var none *http.Transport
	dial := func(string, string) (net.Conn, error) { return nil, io.EOF }
	for name, c := range map[string]struct {
		base http.RoundTripper
		says string
	}{
		"nil is the standard one": {nil, ""},
		"a transport":             {new(http.Transport), ""},
		"a nil transport":         {none, "is nil"},
		"another type":            {http.NewFileTransport(http.Dir(".")), "must be an *http.Transport"},
		//lint:ignore SA1019 it is still obeyed
		"TLS of its own":    {&http.Transport{DialTLS: dial}, "DialTLS"},
		"a CA of one's own": {&http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}, ""},
		"a certificate of its own": {
			&http.Transport{TLSClientConfig: &tls.Config{Certificates: make([]tls.Certificate, 1)}},
			"another certificate than the one that signs",
		},
		"a certificate of its own, by a function": {
			&http.Transport{TLSClientConfig: &tls.Config{
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil },
			}},
			"another certificate than the one that signs",
		},
	} {
		err := CheckBase(c.base)
		if c.says == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorContains(t, err, c.says, name)
	}
}

// What a token that is bound to nothing, or to an older certificate, is sent over.
func TestPresenterFollowsTheNewest(t *testing.T) {
	s := newServer(t)
	bindings := New(&http.Client{Transport: s.trusting()}, false)
	defer bindings.Close()
	presenter := NewPresenter(t.Context(), s.trusting())
	_, err := presenter.Of(nil)
	require.ErrorContains(t, err, "bound to no certificate")
	older, err := bindings.Bind(newPair(t, "older"))
	require.NoError(t, err)
	bindings.Adopt(older)
	newer, err := bindings.Bind(newPair(t, "newer"))
	require.NoError(t, err)
	for _, b := range []*Binding{older, newer, older, newer} {
		transport, err := presenter.Of(b)
		require.NoError(t, err)
		require.NoError(t, s.get(t, transport))
		again, err := presenter.Of(b)
		require.NoError(t, err)
		assert.Equal(t, b == newer || len(s.seen) == 1, transport == again, "only the newest connections are kept")
		assert.Equal(t, transport != again, again.(*http.Transport).DisableKeepAlives)
	}
	assert.Equal(t, []seen{{"older", false}, {"newer", false}, {"older", false}, {"newer", false}}, s.seen)
}
