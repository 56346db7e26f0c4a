package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

// clockLimit is how far this machine's clock may differ from the server's. An
// assertion for a server other than Entra ID is valid for a minute.
const clockLimit = time.Minute

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

// checkConnection tries network, TLS and clock, and reports whether a request
// can be sent.
func (l *checklist) checkConnection(ctx context.Context, t *target) bool {
	p := t.probe(ctx)
	if !p.connected {
		if p.handshake {
			l.ok(checkNetwork, "%s answers", t.origin)
			l.fail(checkTLS, p.err)
		} else {
			l.fail(checkNetwork, p.err)
			l.skip(checkTLS, "needs the network")
		}
		l.skip(checkClock, "needs a connection")
		return false
	}
	l.ok(checkNetwork, "%s%s, in %v", t.origin, p.via(), p.elapsed.Round(time.Millisecond))
	if p.tls == nil {
		l.skip(checkTLS, "plain http on this machine")
	} else {
		l.ok(checkTLS, "%s", tlsText(p.tls))
	}
	l.checkClock(p)
	return true
}

// probe asks the server for its front page.
func (t *target) probe(ctx context.Context) *probe {
	limit := fmt.Errorf("no answer within %v: %w", t.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, limit)
	defer cancel()
	p := &probe{}
	var log progressLog
	req, err := http.NewRequestWithContext(log.trace(ctx), http.MethodGet, t.origin+"/", nil)
	if err != nil {
		p.err = err
		return p
	}
	if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy != nil {
		p.proxy = proxy.Host
	}
	client := *t.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	begin := time.Now()
	resp, err := client.Do(req)
	p.elapsed, p.progress = time.Since(begin), log.get()
	if err != nil {
		p.err = cause(ctx, err)
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

func (p *probe) via() string {
	if p.proxy != "" {
		return " through the proxy " + p.proxy
	}
	return " at " + p.address
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

func tlsText(state *tls.ConnectionState) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		peer := state.PeerCertificates[0]
		text += fmt.Sprintf(", certificate by %q, until %s",
			peer.Issuer.String(), peer.NotAfter.Local().Format("2006-01-02"))
	}
	return text
}

// checkClock compares this machine's clock with the server's.
func (l *checklist) checkClock(p *probe) {
	if p.date.IsZero() {
		l.skip(checkClock, "the server doesn't say what time it is")
		return
	}
	const grain = 500 * time.Millisecond // a Date is cut to the second
	ahead := p.asked.Sub(p.date.Add(grain)).Round(time.Second)
	switch {
	case ahead.Abs() <= clockLimit:
		l.ok(checkClock, "%s off the server's", ahead.Abs())
		return
	case ahead > 0:
		l.failClock("ahead of", ahead)
	default:
		l.failClock("behind", -ahead)
	}
}

func (l *checklist) failClock(where string, off time.Duration) {
	l.add(check{
		Name:   checkClock,
		Status: outcomeFailed,
		Detail: fmt.Sprintf("this machine's clock is %v %s the server's", off, where),
		Advice: "Set the clock, for example by NTP: assertions and certificates are valid for a certain time only.",
	})
}
