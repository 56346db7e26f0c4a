package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
)

// probe is what a request to the server's front page found out. The page itself
// doesn't matter; no credential is sent.
type probe struct {
	progress
	proxy   string
	elapsed time.Duration
	asked   time.Time // halfway through the exchange
	date    time.Time // by the server's clock
	err     error
}

// progress is how far a connection came.
type progress struct {
	connected bool
	address   string
	handshake bool // TLS began
	tls       *tls.ConnectionState
}

// checkConnection tries network, TLS and clock, and reports whether a request
// can be sent.
func (d *doctorCommand) checkConnection(ctx context.Context, t *target) bool {
	p := t.probe(ctx)
	if !p.connected {
		if p.handshake {
			d.ok(checkNetwork, "%s answers", t.origin)
			d.fail(checkTLS, p.err)
		} else {
			d.fail(checkNetwork, p.err)
			d.skip(checkTLS, "needs the network")
		}
		d.skip(checkClock, "needs a connection")
		return false
	}
	d.ok(checkNetwork, "%s%s, in %v", t.origin, p.via(), p.elapsed.Round(time.Millisecond))
	if p.tls == nil {
		d.skip(checkTLS, "plain http on this machine")
	} else {
		d.ok(checkTLS, "%s", tlsText(p.tls))
	}
	d.checkClock(p)
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

// progressLog keeps progress. A connection that is given up goes on behind the
// request, so it is locked.
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

// cause takes the URL off an error of net/http, and puts the time limit in.
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
		text += fmt.Sprintf(", certificate by %q, until %s", peer.Issuer.String(), peer.NotAfter.Local().Format("2006-01-02"))
	}
	return text
}

// checkClock compares this machine's clock with the server's.
func (d *doctorCommand) checkClock(p *probe) {
	if p.date.IsZero() {
		d.skip(checkClock, "the server doesn't tell its time")
		return
	}
	const grain = 500 * time.Millisecond // a Date is cut to the second
	ahead := p.asked.Sub(p.date.Add(grain)).Round(time.Second)
	switch {
	case ahead.Abs() <= clockLimit:
		d.ok(checkClock, "%s off the server's", ahead.Abs())
		return
	case ahead > 0:
		d.failClock("ahead of", ahead)
	default:
		d.failClock("behind", -ahead)
	}
}

func (d *doctorCommand) failClock(where string, off time.Duration) {
	d.add(check{
		Name:   checkClock,
		Status: statusFailed,
		Detail: fmt.Sprintf("this machine's clock is %v %s the server's", off, where),
		Advice: "Set the clock, best by NTP: assertions and certificates are valid at certain times only.",
	})
}

// tokenClaims are claims of an access token worth showing.
type tokenClaims struct {
	readable bool
	Audience audienceList `json:"aud"`
	Roles    []string     `json:"roles"`
}

// audienceList is one string or several (RFC 7519 §4.1.3).
type audienceList []string

// UnmarshalJSON takes either form.
func (a *audienceList) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audienceList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

func claimsOf(token *certtoken.Token) tokenClaims {
	var claims tokenClaims
	parts, err := splitJWT(token.AccessToken())
	if err != nil {
		return claims // opaque
	}
	claims.readable = json.Unmarshal(parts.Claims, &claims) == nil
	return claims
}
