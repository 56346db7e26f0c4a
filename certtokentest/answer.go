package certtokentest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// answer is what a request gets, before it is written to a connection or handed
// over in the caller's goroutine.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	delay     time.Duration // before the header
	bodyDelay time.Duration // between header and body
	ending    ending
}

// ending is how the body ends.
type ending int

const (
	endWhole   ending = iota
	endReset          // the connection breaks before any answer
	endCut            // it breaks in the middle of the body
	endRepeats        // the body is repeated without end
)

func jsonAnswer(status int, body []byte) *answer {
	a := &answer{status: status, header: make(http.Header), body: body}
	a.header.Set("Content-Type", "application/json; charset=utf-8")
	return a
}

// errReset is what a reset connection looks like to the caller.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// wait sleeps for d unless the context ends. Nothing but timer and context is
// waited for, so that time in a synctest bubble moves on.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serve writes the answer to a connection.
func (a *answer) serve(w http.ResponseWriter, r *http.Request) {
	if wait(r.Context(), a.delay) != nil {
		panic(http.ErrAbortHandler)
	}
	if a.ending == endReset {
		reset(w)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.ending != endRepeats {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.bodyDelay > 0 {
		_ = http.NewResponseController(w).Flush()
		if wait(r.Context(), a.bodyDelay) != nil {
			panic(http.ErrAbortHandler)
		}
	}
	a.serveBody(w)
}

func (a *answer) serveBody(w http.ResponseWriter) {
	switch a.ending {
	case endCut:
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case endRepeats:
		for {
			if _, err := w.Write(a.body); err != nil {
				return
			}
		}
	default:
		_, _ = w.Write(a.body) // the client may have left
	}
}

// reset breaks the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok { // under TLS
		raw = c.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
	panic(http.ErrAbortHandler)
}

// response hands the answer over without a connection.
func (a *answer) response(req *http.Request) (*http.Response, error) {
	if err := wait(req.Context(), a.delay); err != nil {
		return nil, err
	}
	if a.ending == endReset {
		return nil, errReset
	}
	body := &answerBody{ctx: req.Context(), answer: a, rest: a.body, closed: make(chan struct{})}
	resp := &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		ContentLength: int64(len(a.body)),
		Body:          body,
		Request:       req,
	}
	switch a.ending {
	case endRepeats:
		resp.ContentLength = -1
	case endCut:
		body.rest = a.body[:len(a.body)/2]
	}
	return resp, nil
}

// answerBody is a response body that behaves as the answer says.
type answerBody struct {
	ctx    context.Context
	answer *answer
	mu     sync.Mutex // guards rest and waited
	rest   []byte
	waited bool
	once   sync.Once
	closed chan struct{}
}

var errBodyClosed = errors.New("http: read on closed response body")

func (b *answerBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return 0, err
	}
	if len(b.rest) == 0 {
		switch b.answer.ending {
		case endCut:
			return 0, io.ErrUnexpectedEOF
		case endRepeats:
			b.rest = b.answer.body
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// ready waits for the body's delay once, and reports a body that was closed or
// whose request is over.
func (b *answerBody) ready() error {
	select {
	case <-b.closed:
		return errBodyClosed
	default:
	}
	if b.waited || b.answer.bodyDelay <= 0 {
		return context.Cause(b.ctx)
	}
	timer := time.NewTimer(b.answer.bodyDelay) // never of 0: two at once in a bubble crash the race detector (golang/go#78156)
	defer timer.Stop()
	select {
	case <-timer.C:
		b.waited = true
		return context.Cause(b.ctx)
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.closed:
		return errBodyClosed
	}
}

func (b *answerBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// buffer is a ResponseWriter in memory, for mounted handlers.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
	sent   http.Header // as of WriteHeader
}

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if b.status == 0 {
		b.status, b.sent = status, b.header.Clone()
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

func (b *buffer) answer() *answer {
	b.WriteHeader(http.StatusOK)
	if b.sent.Get("Content-Type") == "" && b.body.Len() > 0 {
		b.sent.Set("Content-Type", http.DetectContentType(b.body.Bytes()))
	}
	return &answer{status: b.status, header: b.sent, body: b.body.Bytes()}
}
