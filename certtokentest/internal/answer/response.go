package answer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Response hands the answer over without a connection.
func (a *Answer) Response(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if a.Deaf {
		ctx = context.WithoutCancel(ctx)
	}
	if err := wait(ctx, a.Delay); err != nil {
		return nil, err
	}
	if a.Ending == Reset {
		return nil, ErrReset
	}
	body := &body{ctx: ctx, answer: a, rest: a.Body, closed: make(chan struct{})}
	resp := &http.Response{
		Status:        strconv.Itoa(a.Status) + " " + http.StatusText(a.Status),
		StatusCode:    a.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.Header,
		ContentLength: int64(len(a.Body)),
		Body:          body,
		Request:       req,
	}
	switch a.Ending {
	case Endless:
		resp.ContentLength = -1
	case Cut:
		body.rest = a.Body[:len(a.Body)/2]
	}
	return resp, nil
}

// body is a response body that behaves as the answer says.
type body struct {
	ctx    context.Context
	answer *Answer
	mu     sync.Mutex // guards rest and begun
	rest   []byte
	begun  bool // the delay before the body is over
	once   sync.Once
	closed chan struct{}
}

var errBodyClosed = errors.New("http: read on closed response body")

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rest) == 0 && b.answer.Ending == Endless {
		b.rest = b.answer.Body
	}
	if err := b.pause(); err != nil {
		return 0, err
	}
	if len(b.rest) == 0 {
		if b.answer.Ending == Cut {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	if b.answer.Drip > 0 && len(p) > 1 {
		p = p[:1]
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// pause waits until the next bytes are due, and reports a body that was closed
// or whose request is over.
func (b *body) pause() error {
	select {
	case <-b.closed:
		return errBodyClosed
	default:
	}
	var d time.Duration
	if !b.begun {
		d = b.answer.BodyDelay
	}
	if len(b.rest) > 0 {
		d += b.answer.Drip
	}
	if d <= 0 { // no timer of 0: two at once in a bubble crash the race detector (golang/go#78156)
		return context.Cause(b.ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		b.begun = true
		return context.Cause(b.ctx)
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.closed:
		return errBodyClosed
	}
}

func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
