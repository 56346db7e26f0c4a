package connections

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trusting lets a transport trust a server's certificate.
func trusting(transport *http.Transport, server *httptest.Server) *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: "example.com"}
	return transport
}

// link forwards bytes between a client and a server until it is cut: from then on what
// comes on the connections that are there is thrown away without a word.
type link struct {
	net.Listener
	to     string
	dials  atomic.Int32
	mu     sync.Mutex
	silent []*atomic.Bool
	conns  []net.Conn
	work   sync.WaitGroup
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{Listener: listener, to: to}
	l.work.Go(l.accept)
	t.Cleanup(func() {
		_ = l.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.mu.Unlock()
		l.work.Wait()
	})
	return l
}

func (l *link) accept() {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = in.Close()
			return
		}
		l.dials.Add(1)
		cut := new(atomic.Bool)
		l.mu.Lock()
		l.silent, l.conns = append(l.silent, cut), append(l.conns, in, out)
		l.mu.Unlock()
		l.work.Go(func() { forward(out, in, cut) })
		l.work.Go(func() { forward(in, out, cut) })
	}
}

// cut makes the connections that are there silent.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.silent {
		s.Store(true)
	}
}

func forward(to, from net.Conn, cut *atomic.Bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if cut.Load() {
			if err != nil {
				return
			}
			continue
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// A connection of HTTP/2 that dies without a word is found out, and the next request has
// a new one. Without health checks each request waits in vain.
func TestADeadConnectionIsReplaced(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	l := newLink(t, server.Listener.Addr().String())
	transport := trusting(New(4, Health{Silence: 100 * time.Millisecond, Answer: 1500 * time.Millisecond}), server)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.Addr().String(), nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	// A request may be sent on the dead connection, and ends with it, long before its own
	// time is over. A connection that is only slow may be given up, too.
	answered := func() (proto string) {
		var err error
		for range 50 {
			if proto, err = get(); err == nil {
				return proto
			}
			require.NotErrorIs(t, err, context.DeadlineExceeded, "the connection is still believed to be alive")
		}
		require.NoError(t, err)
		return ""
	}
	require.Equal(t, "HTTP/2.0", answered())
	l.cut()
	answered()
	assert.GreaterOrEqual(t, l.dials.Load(), int32(2))
}

// proxy is a proxy that answers CONNECT by a status.
func proxy(t *testing.T, status int) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodConnect, r.Method)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	require.NoError(t, err)
	at.User = url.UserPassword("robot", "s3cret-password")
	return at
}

// request sends a request over a transport and explains its error.
func request(t *testing.T, transport http.RoundTripper, to string) error {
	t.Helper()
	server, err := url.Parse(to)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: transport}).Get(to)
	if err == nil {
		_ = resp.Body.Close()
		return nil
	}
	var urlErr *url.Error
	require.ErrorAs(t, err, &urlErr)
	return Explain(transport, server, urlErr.Err)
}

// The server said nothing: the error names the proxy, and what to do.
func TestAProxyThatRefuses(t *testing.T) {
	for status, advice := range map[int]string{
		403: "NO_PROXY", 407: "user and password", 502: "can't reach the server", 504: "can't reach the server",
	} {
		at := proxy(t, status)
		user := &http.Transport{Proxy: http.ProxyURL(at)}
		withStandard(t, user.Clone())
		for name, transport := range map[string]*http.Transport{"ours": New(1, DefaultHealth), "the user's": user} {
			err := request(t, transport, "https://login.example.com/token")
			require.Error(t, err, name)
			assert.ErrorContains(t, err, "the proxy http://"+at.Host+" refused to connect to login.example.com", name)
			assert.ErrorContains(t, err, http.StatusText(status), name)
			assert.ErrorContains(t, err, advice, name)
			assert.NotContains(t, err.Error(), "s3cret", name)
			assert.NotContains(t, err.Error(), "robot", name)
			var refusal *ProxyRefusal
			assert.Equal(t, name == "ours", errors.As(err, &refusal))
			transport.CloseIdleConnections()
		}
	}
}

// nobodysAddress is an address at which nobody listens, and where nobody else can begin to:
// it is that of a connection.
func nobodysAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

// A proxy that can't be reached is named too, without its password.
func TestAProxyThatIsDown(t *testing.T) {
	at := &url.URL{Scheme: "http", Host: nobodysAddress(t), User: url.UserPassword("robot", "s3cret-password")}
	err := request(t, &http.Transport{Proxy: http.ProxyURL(at)}, "https://login.example.com/token")
	assert.ErrorContains(t, err, "went through the proxy http://"+at.Host)
	assert.NotContains(t, err.Error(), "s3cret")
}

func TestAnUnknownIssuer(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs that its certificate is refused
	server.StartTLS()
	defer server.Close()
	transport := New(1, DefaultHealth)
	defer transport.CloseIdleConnections()
	err := request(t, transport, server.URL)
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	assert.ErrorContains(t, err, `was issued by "O=Acme Co"`)
	assert.ErrorContains(t, err, server.Listener.Addr().String())
	assert.ErrorContains(t, err, "RootCAs")
}

// Who gave a transport that doesn't find dead connections is told how it would.
func TestSilenceIsExplained(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "login.example.com"}
	slow := context.DeadlineExceeded
	checks := &http.Transport{HTTP2: &http.HTTP2Config{SendPingTimeout: time.Second}}
	withStandard(t, new(http.Transport))
	assert.ErrorContains(t, Explain(new(http.Transport), server, slow), "HTTP2Config")
	assert.ErrorContains(t, Explain(nil, server, slow), "HTTP2Config")
	assert.ErrorContains(t, Explain(http.NewFileTransport(http.Dir(".")), server, slow), "HTTP2Config")
	require.ErrorIs(t, Explain(nil, server, slow), slow)
	assert.Equal(t, slow, Explain(checks, server, slow))
	assert.Equal(t, slow, Explain(New(1, DefaultHealth), server, slow))
	assert.Equal(t, io.EOF, Explain(nil, server, io.EOF))
}
