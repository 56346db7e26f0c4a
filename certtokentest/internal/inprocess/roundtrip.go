// Package inprocess brings requests to an http.Handler without a connection, and
// puts handlers of the user's beside one. It never knows what they answer.
package inprocess

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
)

// Socketless answers without a connection, in the caller's goroutine. The type's
// name is what a client that would present a certificate in TLS says when it can't.
type Socketless struct {
	Handler http.Handler
	Closed  *atomic.Bool // no request is answered any more
}

var _ http.RoundTripper = (*Socketless)(nil)

var errClosed = errors.New("certtokentest: the server is closed")

// RoundTrip implements [http.RoundTripper].
func (t *Socketless) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if t.Closed.Load() {
		return nil, errClosed
	}
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	a, err := t.answer(serverSide(req))
	if err != nil {
		return nil, err
	}
	resp, err := a.Response(req)
	if err != nil {
		return nil, err
	}
	return unzipped(req, resp), nil
}

// serverSide is the request as a server sees it.
func serverSide(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.URL.Hostname()}
	}
	r.RequestURI = r.URL.RequestURI()
	r.URL.Scheme, r.URL.Host, r.URL.User = "", "", nil
	r.RemoteAddr = "127.0.0.1:0"
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	return r
}

// answer runs the handler. One that aborts breaks the connection.
func (t *Socketless) answer(r *http.Request) (a *answer.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(p)
			}
			a, err = nil, answer.ErrReset
		}
	}()
	b := answer.NewBuffer()
	t.Handler.ServeHTTP(b, r)
	return b.Answer(), nil
}

// unzipped undoes compression that the caller didn't ask for by itself, as
// net/http's Transport does.
func unzipped(req *http.Request, resp *http.Response) *http.Response {
	if resp.Header.Get("Content-Encoding") != "gzip" || req.Header.Get("Accept-Encoding") != "" {
		return resp
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Uncompressed = true
	resp.Body = &gzipBody{compressed: resp.Body}
	return resp
}

// gzipBody starts to read when it is read.
type gzipBody struct {
	compressed io.ReadCloser
	plain      *gzip.Reader
}

func (b *gzipBody) Read(p []byte) (int, error) {
	if b.plain == nil {
		plain, err := gzip.NewReader(b.compressed)
		if err != nil {
			return 0, err
		}
		b.plain = plain
	}
	return b.plain.Read(p)
}

func (b *gzipBody) Close() error { return b.compressed.Close() }
