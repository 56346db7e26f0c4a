package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve serves the house and returns where.
func (h *house) serve(t *testing.T, address string) string {
	t.Helper()
	return h.listen(t, address).Addr().String()
}

// listen serves the house by a listener.
func (h *house) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := Listen(t.Context(), address)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, h.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return listener
}

// fresh is a client whose connections aren't shared.
func fresh(t *testing.T, dial func(ctx context.Context) (net.Conn, error)) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	if dial != nil {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("a redirect")
	}}
}

func get(t *testing.T, client *http.Client, base, secret string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		base+"/msi/token?api-version=2019-08-01&resource="+graph, nil)
	require.NoError(t, err)
	r.Header.Set("X-IDENTITY-HEADER", secret)
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(body)
}

func TestServe(t *testing.T) {
	h := newHouse(t)
	address := h.serve(t, "localhost:0")
	client := fresh(t, nil)
	answer, body := get(t, client, "http://"+address, goodSecret)
	assert.Equal(t, http.StatusOK, answer.StatusCode, body)
	answer, body = get(t, client, "http://"+address, wrong)
	assert.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	assert.True(t, answer.Close)
	assert.NotContains(t, body, "access_token")
}

func TestOnlyLoopback(t *testing.T) {
	h := newHouse(t)
	for _, address := range []string{
		"0.0.0.0:0", "[::]:0", ":0", "10.0.0.1:0", "example.com:0", "127.0.0.1", "localhost.example:0",
		"[::ffff:10.0.0.1]:0",
	} {
		listener, err := Listen(t.Context(), address)
		require.Error(t, err, address)
		assert.True(t, strings.HasPrefix(err.Error(), "certtoken: agent: "), err)
		assert.Nil(t, listener)
	}
	everywhere, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	require.ErrorContains(t, h.Serve(everywhere), "neither a loopback address nor a Unix socket")
	_, err = everywhere.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// raw sends bytes and returns what comes back until the connection ends.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Minute)))
	_, _ = io.WriteString(conn, text)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func TestOddRequests(t *testing.T) {
	h := newHouse(t)
	address := h.serve(t, "127.0.0.1:0")
	get := "GET /msi/token?api-version=2019-08-01&resource=" + graph + " HTTP/1.1\r\nConnection: close\r\n"
	host := "Host: " + address + "\r\n"
	secret := "X-IDENTITY-HEADER: " + goodSecret + "\r\n"
	require.Contains(t, raw(t, address, get+host+secret+"\r\n"), "access_token")
	for name, text := range map[string]string{
		"oversized header": get + host + secret + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"no host":          get + secret + "\r\n",
		"two hosts":        get + host + "Host: evil.example\r\n" + secret + "\r\n",
		"HTTP/1.0":         strings.Replace(get, "1.1", "1.0", 1) + secret + "\r\n",
		"absolute":         strings.Replace(get, "/msi", "http://evil.example/msi", 1) + host + secret + "\r\n",
		"double slash":     strings.Replace(get, "/msi", "//msi", 1) + host + secret + "\r\n",
		"dots":             strings.Replace(get, "/msi", "/x/../msi", 1) + host + secret + "\r\n",
		"escaped":          strings.Replace(get, "/msi", "/%6dsi", 1) + host + secret + "\r\n",
		"CONNECT":          "CONNECT " + address + " HTTP/1.1\r\n" + host + secret + "Connection: close\r\n\r\n",
		"OPTIONS":          strings.Replace(get, "GET", "OPTIONS", 1) + host + secret + "Origin: null\r\n\r\n",
		"smuggled": "POST /oauth2/token HTTP/1.1\r\n" + host +
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"a form of a page": "POST /oauth2/token HTTP/1.1\r\n" + host + "Origin: https://evil.example\r\n" +
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\nConnection: close\r\n\r\n" +
			"grant_type=client_credentials",
		"TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotContains(t, raw(t, address, text), "access_token")
		})
	}
}

// A request that doesn't come to its end is cut off.
func TestSlowRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a request may")
	}
	h := newHouse(t)
	address := h.serve(t, "127.0.0.1:0")
	for name, text := range map[string]string{
		"header": "GET /msi/token HTTP/1.1\r\nHost: " + address + "\r\nX-",
		"body": "POST /oauth2/token HTTP/1.1\r\nHost: " + address +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, text)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(readLimit+5*time.Minute)))
			answer, err := io.ReadAll(conn)
			require.NoError(t, err, "the agent closes it")
			assert.NotContains(t, string(answer), "access_token")
		})
	}
}

// line is a connection by which requests are sent one after another. No pool decides whether
// it is used again, as that of a client does.
type line struct {
	net.Conn
	reader  *bufio.Reader
	address string
}

func dialed(t *testing.T, address string) *line {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &line{conn, bufio.NewReader(conn), address}
}

// get returns the status of an answer after which the connection stays.
func (l *line) get(t *testing.T, path, secret string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.address+path, nil)
	require.NoError(t, err)
	r.Header.Set("X-IDENTITY-HEADER", secret)
	require.NoError(t, r.Write(l))
	answer, err := http.ReadResponse(l.reader, r)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.False(t, answer.Close)
	return answer.StatusCode
}

// Who opens many connections is the first to lose them.
func TestConnectionsAreBounded(t *testing.T) {
	const token = AppServicePath + "?api-version=2019-08-01&resource=" + graph
	h := newHouse(t)
	address := h.serve(t, "127.0.0.1:0")
	trusted := dialed(t, address)
	require.Equal(t, http.StatusOK, trusted.get(t, token, goodSecret))

	var first *line
	for i := range maxConnections + 10 {
		// After an answer a connection may be idle for minutes. One that sends nothing is cut off within
		// seconds, on a slow machine before there are so many of them.
		next := dialed(t, address)
		require.Equal(t, http.StatusOK, next.get(t, HealthPath, ""))
		if i == 0 {
			first = next
		}
		if i%100 == 0 { // so that it isn't cut off as idle
			require.Equal(t, http.StatusOK, trusted.get(t, token, goodSecret))
		}
	}
	require.NoError(t, first.SetReadDeadline(time.Now().Add(idleLimit/2)), "before an idle one would be cut off")
	_, err := first.reader.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the first of them was closed")
	assert.Equal(t, http.StatusOK, trusted.get(t, token, goodSecret),
		"the connection that showed a right secret is still there")

	answer, _ := get(t, fresh(t, nil), "http://"+address, goodSecret)
	assert.Equal(t, http.StatusOK, answer.StatusCode, "there is room for one more")
}

// The connection that leaves is the oldest without a right secret, else the oldest.
func TestWhichConnectionLeaves(t *testing.T) {
	table := &connTable{open: map[net.Conn]*connState{}}
	var conns []net.Conn
	var states []*connState
	for range 6 {
		one, other := net.Pipe()
		defer one.Close()
		defer other.Close()
		conns, states = append(conns, one), append(states, table.enter(one))
	}
	for _, i := range []int{0, 1, 3} {
		table.trust(states[i])
	}
	for _, want := range []int{2, 4, 5, 0, 1, 3} {
		for range 20 { // a map has no order
			require.True(t, conns[want] == table.first(), "not %d", want)
		}
		table.changed(conns[want], http.StateClosed)
	}
}

// Close lets a request end that is under way.
func TestCloseWaits(t *testing.T) {
	h := newHouse(t)
	listener := h.listen(t, "127.0.0.1:0")
	begun, release := make(chan struct{}), make(chan struct{})
	h.endpoint.FailFunc(blockOn(begun, release))
	done := make(chan string, 1)
	go func() {
		_, body := get(t, fresh(t, nil), "http://"+listener.Addr().String(), goodSecret)
		done <- body
	}()
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	<-h.stopped.Done()
	close(release)
	assert.Contains(t, <-done, "access_token")
	require.NoError(t, <-closed)
	_, err := listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "its port may be another program's by now")
}

func TestServeAfterClose(t *testing.T) {
	h := newHouse(t)
	require.NoError(t, h.Close())
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, h.Serve(listener), ErrClosed)
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}
