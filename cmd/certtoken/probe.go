package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/connections"
)

// probe is what a request for the server's front page has shown. What is on the
// page is not looked at, and the request carries no credential.
type probe struct {
	progress
	proxy   string
	elapsed time.Duration
	asked   time.Time // halfway between request and answer
	date    time.Time // by the server's clock
	err     error
}

// progress is how far a connection has come.
type progress struct {
	connected bool
	address   string
	handshake bool // the TLS handshake has begun
	tls       *tls.ConnectionState
}

// probe asks the server for its front page.
func (t *target) probe(ctx context.Context) *probe {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, &timeIsUp{"no answer", t.timeout})
	defer cancel()
	p := &probe{}
	var log progressLog
	req, err := http.NewRequestWithContext(log.trace(ctx), http.MethodGet, t.origin+"/", nil)
	if err != nil {
		p.err = err
		return p
	}
	p.proxy = t.proxyFor(req)
	client := *t.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	begin := time.Now()
	resp, err := client.Do(req)
	p.elapsed, p.progress = time.Since(begin), log.get()
	if err != nil {
		p.err = connections.Explain(client.Transport, req.URL, cause(ctx, err))
		return p
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be kept
	p.asked = begin.Add(p.elapsed / 2)
	p.date, _ = http.ParseTime(resp.Header.Get("Date"))
	return p
}

// progressLog notes the progress. It is locked because a connection attempt can go
// on after the request has returned.
type progressLog struct {
	mu   sync.Mutex
	seen progress
}

func (l *progressLog) note(change func(*progress)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.seen)
}

func (l *progressLog) get() progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func (l *progressLog) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { l.note(func(p *progress) { p.handshake = true }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				l.note(func(p *progress) { p.tls = &state })
			}
		},
		GotConn: func(info httptrace.GotConnInfo) {
			l.note(func(p *progress) {
				p.connected = true
				p.address = info.Conn.RemoteAddr().String()
			})
		},
	})
}

// via says how the server is reached, as far as that is known.
func (p *probe) via() string {
	switch {
	case p.proxy != "":
		return " through the " + p.proxy
	case p.address != "":
		return " at " + p.address
	}
	return ""
}

// proxyFor names the proxy that a request goes through, or returns "".
func (t *target) proxyFor(req *http.Request) string {
	if t.env.proxy != nil {
		return "token proxy " + t.env.proxy.Host()
	}
	transport, ok := t.http.Transport.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return ""
	}
	proxy, err := transport.Proxy(req)
	if err != nil || proxy == nil {
		return ""
	}
	return "proxy " + proxy.Host
}

// cause takes the URL out of an error of net/http. If the time was over, it says so
// instead.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if urlErr, ok := err.(*url.Error); ok {
		return urlErr.Err
	}
	return err
}

// ahead is how far this machine's clock is ahead of the server's, if the server says what
// time it is.
func (p *probe) ahead() (ahead time.Duration, known bool) {
	if p.date.IsZero() {
		return 0, false
	}
	const grain = 500 * time.Millisecond // a Date is cut to the second
	return p.asked.Sub(p.date.Add(grain)).Round(time.Second), true
}
