package certtoken_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// withProxy puts a transport with a proxy in the place of http.DefaultTransport.
func withProxy(t *testing.T, proxy string) {
	t.Helper()
	at, err := url.Parse(proxy)
	require.NoError(t, err)
	std := http.DefaultTransport
	other := std.(*http.Transport).Clone()
	other.Proxy = http.ProxyURL(at)
	http.DefaultTransport = other
	t.Cleanup(func() {
		other.CloseIdleConnections()
		http.DefaultTransport = std
	})
}

// loopbackEndpoint grants tokens over plain http and counts its connections.
func loopbackEndpoint(t *testing.T) (endpoint *httptest.Server, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	endpoint = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`)
	}))
	endpoint.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	endpoint.Start()
	t.Cleanup(endpoint.Close)
	return endpoint, connections
}

// newDefaultClient makes a client without an http.Client.
func newDefaultClient(t *testing.T, endpoint string) *certtoken.Client {
	t.Helper()
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	authority := certtoken.Issuer("https://as.example.com", endpoint, certtoken.WithLoopbackHTTP())
	client, err := certtoken.NewClient(authority, appID, cert, patiently())
	require.NoError(t, err)
	return client
}

// Clients that were given no http.Client share their connections, until the last is closed.
func TestClientsShareConnections(t *testing.T) {
	endpoint, connections := loopbackEndpoint(t)
	before := certtoken.SharedLeases()
	clients := make([]*certtoken.Client, 200)
	for i := range clients {
		clients[i] = newDefaultClient(t, endpoint.URL)
		_, err := clients[i].Token(t.Context(), "read")
		require.NoError(t, err)
	}
	// A connection may come back just after the next request has begun to dial. If each
	// client had its own, there would be 200.
	const few = 100
	assert.LessOrEqual(t, connections.Load(), int32(few))
	for i, client := range clients {
		require.NoError(t, client.Close())
		if i == len(clients)/2 {
			last := clients[len(clients)-1]
			_, err := last.Token(t.Context(), "write")
			require.NoError(t, err, "one client's end is not the others'")
		}
	}
	assert.LessOrEqual(t, connections.Load(), int32(few))
	assert.LessOrEqual(t, certtoken.SharedLeases(), before, "a client that is closed gives its connections back")
} // goleak finds what is left

// A rush keeps its connections: the next one doesn't shake hands again.
func TestConnectionsOfARushAreKept(t *testing.T) {
	const rush = 32
	arrived, proceed := make(chan struct{}, rush), make(chan struct{})
	var connections atomic.Int32
	endpoint := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-proceed
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`)
	}))
	endpoint.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	endpoint.Start()
	defer endpoint.Close()
	client := newDefaultClient(t, endpoint.URL)
	defer client.Close()
	for range 2 {
		var wg sync.WaitGroup
		for i := range rush {
			wg.Go(func() {
				_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scopeOf(i)}, Fresh: true})
				assert.NoError(t, err)
			})
		}
		for range rush { // all are under way, each on a connection of its own
			<-arrived
		}
		for range rush {
			proceed <- struct{}{}
		}
		wg.Wait()
	}
	// A connection may come back just after the next request has begun to dial. With four
	// kept connections there would be 60.
	assert.Less(t, connections.Load(), int32(rush+rush/2))
}

// A client that is never closed gives its connections back when it is garbage.
func TestForgottenClientsLeaveNothing(t *testing.T) {
	endpoint, _ := loopbackEndpoint(t)
	for range 20 {
		_, err := newDefaultClient(t, endpoint.URL).Token(t.Context(), "read")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return certtoken.SharedLeases() == 0
	}, patience, 5*time.Millisecond)
}

// The proxy of the environment is another machine: what goes to this one passes it by.
func TestLoopbackPassesTheProxyBy(t *testing.T) {
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	withProxy(t, proxy.URL)
	endpoint, _ := loopbackEndpoint(t)
	_, port, err := net.SplitHostPort(endpoint.Listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "Localhost"} {
		at := "http://" + host + ":" + port
		client := newDefaultClient(t, at)
		_, err := client.Token(t.Context(), "read")
		assert.NoError(t, err, host)
		resp, err := (&http.Client{Transport: client.Transport(nil, "read")}).Get(at)
		assert.Equal(t, 200, status(t, resp, err), host)
		require.NoError(t, client.Close())
	}
	assert.Zero(t, proxied.Load())
}

// The same holds for connections that present a certificate.
func TestBoundConnectionsPassTheProxyBy(t *testing.T) {
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	api := server.Resource("read", nil)
	server.Handle("127.0.0.1/things", api)
	trusting := server.Transport().(*http.Transport).Clone()
	withProxy(t, "http://proxy.invalid:3128")
	trusting.Proxy = http.DefaultTransport.(*http.Transport).Proxy
	http.DefaultTransport = trusting // until the end of withProxy
	client, err := certtoken.NewClient(server.Authority(certtoken.WithTLSClientAuth()), appID, cert)
	require.NoError(t, err)
	defer client.Close()
	hc := &http.Client{Transport: client.Transport(nil, "read")}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get(server.Issuer() + "/things")
	assert.Equal(t, 200, status(t, resp, err))
	allowed, _ := api.Counts()
	assert.Equal(t, 1, allowed)
}

// A proxy that refuses isn't taken for the token endpoint, and isn't asked again.
func TestTheProxyRefuses(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	withProxy(t, "http://robot:s3cret-password@"+proxy.Listener.Addr().String())
	client := newDefaultClient(t, "https://as.example.com/token")
	defer client.Close()
	_, err := client.Token(t.Context(), "read")
	require.ErrorContains(t, err, "the proxy "+proxy.URL+" refused to connect to as.example.com:443: 403 Forbidden")
	assert.ErrorContains(t, err, "NO_PROXY")
	assert.NotContains(t, err.Error(), "s3cret")
	var te *certtoken.TokenError
	assert.NotErrorAs(t, err, &te)
	assert.EqualValues(t, 1, asked.Load())
	_, err = certtoken.Discover(t.Context(), "https://as.example.com")
	assert.ErrorContains(t, err, "the proxy "+proxy.URL+" refused")
	assert.NotContains(t, err.Error(), "s3cret")
}

// A certificate of an issuer that this machine doesn't trust may be that of a proxy which
// opens TLS.
func TestAnIssuerThatIsNotTrusted(t *testing.T) {
	server := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	transport := server.Transport().(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = nil
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert,
		certtoken.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), graph)
	require.ErrorContains(t, err, "the certificate that login.microsoftonline.com showed was issued by")
	assert.ErrorContains(t, err, "RootCAs")
}

// A user's transport that doesn't find dead connections: its time-out says how it would.
func TestTimeoutOfAUsersTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hangs := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		client := newStubClient(t, hangs)
		_, err := client.Token(t.Context(), graph)
		assert.ErrorContains(t, err, "HTTP2Config")
	})
}
