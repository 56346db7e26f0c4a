package connections

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipeServer is a server without a socket. Each dial after the first waits for a value of
// dial, and each request for a value of answer.
type pipeServer struct {
	transport *http.Transport
	dial      chan struct{}
	answer    chan struct{}
	dials     atomic.Int32
}

func newPipeServer(t *testing.T) *pipeServer {
	t.Helper()
	s := &pipeServer{dial: make(chan struct{}), answer: make(chan struct{})}
	accept := pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	withStandard(t, &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if s.dials.Add(1) > 1 {
			select {
			case <-s.dial:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		client, server := net.Pipe()
		accept.conns <- server
		return client, nil
	}})
	s.transport = New(32, DefaultHealth)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-s.answer })}
	go func() { _ = server.Serve(accept) }()
	t.Cleanup(func() {
		synctest.Wait() // a dial that nobody needs any more has got its connection, so that it is closed
		s.transport.CloseIdleConnections()
		assert.NoError(t, server.Close())
		synctest.Wait()
		assert.Empty(t, crowds.routes, "what has ended is still counted")
	})
	return s
}

// pipeListener accepts the connections of a channel.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	close(l.closed)
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// get sends a request that has 10 s, and reports its end.
func (s *pipeServer) get(t *testing.T) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	server := &url.URL{Scheme: "http", Host: "pipe.example"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ctx, end := Begin(ctx, s.transport, server)
	go func() {
		defer cancel()
		defer end()
		req := (&http.Request{Method: http.MethodGet, URL: server, Header: make(http.Header)}).WithContext(ctx)
		resp, err := s.transport.RoundTrip(req)
		if err == nil {
			err = resp.Body.Close()
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

// twoRequestsWithADialLeft has two requests end of which the second got the connection of
// the first, so that its own dial goes on. It then begins a request on the connection.
func (s *pipeServer) twoRequestsWithADialLeft(t *testing.T) (third <-chan error) {
	t.Helper()
	first, second := s.get(t), s.get(t)
	s.answer <- struct{}{}
	require.NoError(t, <-first)
	s.answer <- struct{}{}
	require.NoError(t, <-second)
	require.EqualValues(t, 2, s.dials.Load())
	return s.get(t)
}

// There are no more connections than requests at once: a request waits for the dial that
// another one no longer needs.
func TestADialThatIsLeftIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		third := s.twoRequestsWithADialLeft(t)
		fourth := s.get(t)
		assert.EqualValues(t, 2, s.dials.Load(), "it dials, though a connection is being made")
		s.dial <- struct{}{}
		s.answer <- struct{}{}
		s.answer <- struct{}{}
		require.NoError(t, <-third)
		require.NoError(t, <-fourth)
		assert.EqualValues(t, 2, s.dials.Load())
	})
}

// A request that waits takes a connection that becomes free, and dials no more.
func TestAConnectionBecomesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		third := s.twoRequestsWithADialLeft(t)
		fourth := s.get(t)
		s.answer <- struct{}{}
		require.NoError(t, <-third)
		s.answer <- struct{}{}
		require.NoError(t, <-fourth)
		s.dial <- struct{}{}
		synctest.Wait()
		assert.EqualValues(t, 2, s.dials.Load())
	})
}

// A dial that hangs holds others up for a quarter of their time only.
func TestADialHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		third := s.twoRequestsWithADialLeft(t)
		begin := time.Now()
		fourth := s.get(t)
		time.Sleep(2400 * time.Millisecond)
		assert.EqualValues(t, 2, s.dials.Load())
		time.Sleep(200 * time.Millisecond)
		assert.EqualValues(t, 3, s.dials.Load())
		s.dial <- struct{}{}
		s.dial <- struct{}{}
		s.answer <- struct{}{}
		s.answer <- struct{}{}
		require.NoError(t, <-third)
		require.NoError(t, <-fourth)
		assert.Less(t, time.Since(begin), 3*time.Second)
	})
}

// More requests at once have more connections: nothing is shared but the server.
func TestMoreRequestsHaveMoreConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t)
		close(s.dial)
		const requests = 50
		var ends []<-chan error
		for range requests {
			ends = append(ends, s.get(t))
		}
		assert.EqualValues(t, requests, s.dials.Load())
		close(s.answer)
		for _, end := range ends {
			require.NoError(t, <-end)
		}
	})
}

// A failed dial makes room for the next one.
func TestAFailedDialMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withStandard(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, net.ErrClosed
		}})
		transport := New(1, DefaultHealth)
		server := &url.URL{Scheme: "http", Host: "pipe.example"}
		for range 3 {
			ctx, end := Begin(t.Context(), transport, server)
			req := (&http.Request{Method: http.MethodGet, URL: server, Header: make(http.Header)}).WithContext(ctx)
			begin := time.Now()
			_, err := transport.RoundTrip(req)
			end()
			require.ErrorIs(t, err, net.ErrClosed)
			assert.Zero(t, time.Since(begin))
		}
	})
}

// A user's RoundTripper that can't be compared is left alone.
func TestARoundTripperOfAnyType(t *testing.T) {
	ctx, end := Begin(t.Context(), roundTrips{nil}, &url.URL{Host: "server.example"})
	assert.Equal(t, t.Context(), ctx)
	end()
	ctx, end = Begin(t.Context(), nil, &url.URL{Host: "server.example"})
	assert.Equal(t, t.Context(), ctx)
	end()
}

type roundTrips []func()

func (roundTrips) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

// Requests and connections are counted from many goroutines.
func TestCountingIsSafe(t *testing.T) {
	transport := new(http.Transport)
	server := &url.URL{Scheme: "https", Host: "server.example"}
	dial := inCrowd(func(context.Context, string, string) (net.Conn, error) {
		client, _ := net.Pipe()
		return client, nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			ctx, end := Begin(ctx, transport, server)
			defer end()
			conn, err := dial(ctx, "tcp", "server.example:443")
			if assert.NoError(t, err) {
				assert.NoError(t, conn.Close())
				_ = conn.Close() // which counts once
			}
		})
	}
	all.Wait()
	crowds.mu.Lock()
	defer crowds.mu.Unlock()
	assert.Empty(t, crowds.routes)
}
