package connections

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server that sends headers without end is left at the bound, which is for all of
// them together.
func TestLargeHeadersAreRefused(t *testing.T) {
	size := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range size >> 10 {
			w.Header().Add("X-Filler", strings.Repeat("x", 1000))
		}
	}))
	defer server.Close()
	transport := trusting(New(1, DefaultHealth), server)
	defer transport.CloseIdleConnections()
	for _, c := range []struct {
		size int
		ok   bool
	}{{48 << 10, true}, {96 << 10, false}} {
		size = c.size
		resp, err := (&http.Client{Transport: transport}).Get(server.URL)
		if c.ok {
			require.NoError(t, err)
			resp.Body.Close()
			continue
		}
		assert.ErrorContains(t, err, "header")
	}
}

func TestBoundsOfATransport(t *testing.T) {
	withStandard(t, &http.Transport{MaxIdleConns: 1000})
	assert.Equal(t, 1000, New(32, DefaultHealth).MaxIdleConns, "what the program allows isn't taken away")
	withStandard(t, http.NewFileTransport(http.Dir(t.TempDir())))
	assert.Equal(t, 90*time.Second, New(32, DefaultHealth).IdleConnTimeout)
}

// Advice is about what went wrong, and is one piece.
func TestAdviceOnAConnection(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "login.example.com"}
	through := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example:3128"})}
	leaf := &x509.Certificate{Issuer: pkix.Name{CommonName: "Somebody"}}
	verification := func(why error) error {
		return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: why}
	}
	for name, c := range map[string]struct {
		err       error
		want, not string
	}{
		"an unknown issuer": {
			err: verification(x509.UnknownAuthorityError{}), want: `issued by "CN=Somebody"`,
			not: "went through the proxy",
		},
		"another name": {
			err:  verification(x509.HostnameError{Certificate: leaf, Host: "login.example.com"}),
			want: "went through the proxy http://proxy.example:3128", not: "doesn't trust",
		},
		"a refusal of the proxy": {
			err:  &ProxyRefusal{Proxy: "http://proxy.example:3128", StatusCode: 403, Status: "403 Forbidden"},
			want: "have it allow this server", not: "went through the proxy",
		},
		"an issuer without a certificate": {
			err:  &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			want: "went through the proxy", not: "doesn't trust",
		},
		"an alert of the server": {
			err:  fmt.Errorf("post: %w", &net.OpError{Op: "remote error", Err: tls.AlertError(48)}),
			want: "WithTLSClientAuth", not: "went through the proxy",
		},
		"no time left": {
			err: context.DeadlineExceeded, want: "went through the proxy", not: "HTTP/2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := Explain(through, server, c.err)
			require.ErrorIs(t, err, c.err)
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), c.not)
		})
	}
	// A request over http is passed on by the proxy, so the words are the server's.
	plain := &url.URL{Scheme: "http", Host: "localhost"}
	_, refused := refusedBy(&url.URL{Host: "proxy.example"}, plain, errors.New("Forbidden"))
	assert.False(t, refused)
}

// What is done about a server's alert depends on whether the client presents a certificate.
func TestAdviceOnAnAlert(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "login.example.com"}
	alert := &net.OpError{Op: "remote error", Err: tls.AlertError(48)}
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"nothing":       {nil, "WithTLSClientAuth"},
		"no identity":   {&tls.Config{ServerName: "x"}, "WithTLSClientAuth"},
		"a function":    {&tls.Config{GetClientCertificate: noCertificate}, "register the certificate"},
		"a certificate": {&tls.Config{Certificates: make([]tls.Certificate, 1)}, "register the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Explain(&http.Transport{TLSClientConfig: c.config}, server, alert)
			require.ErrorIs(t, err, alert)
			assert.ErrorContains(t, err, c.want)
			var advised interface{ Advice() string }
			require.ErrorAs(t, err, &advised)
			assert.True(t, strings.HasSuffix(err.Error(), "; "+advised.Advice()))
		})
	}
	assert.ErrorContains(t, Explain(roundTrips{}, server, alert), "WithTLSClientAuth")
}

// Over TLS 1.3 a server refuses the certificate when the client has ended the handshake, and the
// connection may be closed before the alert was read.
func TestAdviceOnARefusalThatIsLost(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "login.example.com"}
	presenting := &http.Transport{TLSClientConfig: &tls.Config{GetClientCertificate: noCertificate}}
	lost := errors.New("http2: client conn could not be established")
	assert.ErrorContains(t, Explain(presenting, server, lost), "register the certificate")
	assert.ErrorContains(t, Explain(&http.Transport{}, server, lost), "WithTLSClientAuth")
	for _, cut := range []error{
		io.EOF, io.ErrUnexpectedEOF,
		&net.OpError{Op: "read", Err: syscall.ECONNRESET}, &net.OpError{Op: "write", Err: syscall.EPIPE},
	} {
		err := Explain(presenting, server, fmt.Errorf("Post: %w", cut))
		require.ErrorIs(t, err, cut)
		assert.ErrorContains(t, err, "may not accept the certificate")
		assert.Equal(t, cut, Explain(&http.Transport{}, server, cut), "it has presented none")
		assert.Equal(t, cut, ExplainBody(presenting, server, cut), "the server has answered")
	}
	for _, other := range []error{
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
	} {
		assert.NotContains(t, Explain(presenting, server, other).Error(), "certificate")
	}
}

// What net/http says of such a refusal is in each of its forms understood.
func TestRefusalsOverTLS13(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.StartTLS()
	defer server.Close()
	for range 100 {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = server.TLS.Certificates
		err := request(t, transport, server.URL)
		require.ErrorContains(t, err, "register the certificate there")
		transport.CloseIdleConnections()
	}
}

func noCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil }

// Only a transport that never asks for a sign of life is advised to.
func TestAdviceOnSilence(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "login.example.com"}
	for name, c := range map[string]struct {
		transport *http.Transport
		advised   bool
	}{
		"ours":               {New(1, DefaultHealth), false},
		"a user's":           {new(http.Transport), true},
		"a user's with more": {&http.Transport{HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 5}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.transport.Proxy = nil
			err := Explain(c.transport, server, context.DeadlineExceeded)
			assert.Equal(t, c.advised, strings.Contains(err.Error(), "SendPingTimeout"), "%v", err)
		})
	}
}

// What a proxy's answer to CONNECT means.
func TestAnswersOfAProxy(t *testing.T) {
	proxy := &url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword("user", "secret")}
	connect := &http.Request{Host: "login.example.com:443"}
	for status, want := range map[string]string{
		"200 OK": "", "407 Proxy Authentication Required": "user and password",
		"499 Odd": "have it allow this server", "500 Internal Server Error": "out of order",
	} {
		code, err := strconv.Atoi(status[:3])
		require.NoError(t, err)
		answer := &http.Response{StatusCode: code, Status: status}
		err = reportRefusal(nil)(t.Context(), proxy, connect, answer)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, status)
		assert.NotContains(t, err.Error(), "secret")
	}
	broken := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return proxy, errors.New("no proxy") }}
	assert.Nil(t, proxyOf(broken, &url.URL{Scheme: "https", Host: "login.example.com"}))
}
