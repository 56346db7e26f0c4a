// Package connections makes the HTTP connections of clients that were given none, shares
// them among these clients, and says what to do when a connection can't be made. It knows
// neither tokens nor what is sent.
//
//	transport.go  how connections are made
//	dial.go       how many of them are opened
//	pool.go       who uses them, and when they are closed
//	proxy.go      proxies that refuse
//	explain.go    what to do about a connection that failed
package connections

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/certtoken/certtoken/internal/syntax"
)

const (
	idleLimit      = 90 * time.Second // that an unused connection is kept
	handshakeLimit = 10 * time.Second // of TLS
	maxHeaderBytes = 64 << 10         // of a response
)

// Health is how a dead connection of HTTP/2 is found. It matters because many requests
// share one connection: if the network drops its packets without a word, each request
// waits in vain, and nothing else would ever end the connection.
type Health struct {
	Silence time.Duration // without a frame from the server, after which it is asked for a sign of life
	Answer  time.Duration // that the server has for it before the connection is closed
}

// DefaultHealth finds a dead connection within 9 s, before the 10 s of one attempt of a
// token request are over. The second attempt then has a new connection.
var DefaultHealth = Health{Silence: 5 * time.Second, Answer: 4 * time.Second}

// New makes a transport with the settings of http.DefaultTransport, among them the proxies
// of the environment, and with bounds of our own. It keeps up to idle unused connections
// to each host.
func New(idle int, health Health) *http.Transport {
	t, ok := Standard(health)
	if !ok {
		t = &http.Transport{
			Proxy:               exceptLoopback(http.ProxyFromEnvironment),
			HTTP2:               health.settings(nil),
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: handshakeLimit,
			IdleConnTimeout:     idleLimit,
		}
	}
	bound(t)
	t.OnProxyConnectResponse = reportRefusal(t.OnProxyConnectResponse)
	t.MaxResponseHeaderBytes = maxHeaderBytes
	t.MaxIdleConnsPerHost = idle
	if t.MaxIdleConns != 0 { // 0 is no limit
		t.MaxIdleConns = max(t.MaxIdleConns, 2*idle)
	}
	return t
}

// Direct makes a transport with the bounds of [New] that uses no proxy and trusts as config
// says.
func Direct(config *tls.Config, idle int, health Health) *http.Transport {
	t := &http.Transport{
		TLSClientConfig:        config,
		HTTP2:                  health.settings(nil),
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    handshakeLimit,
		IdleConnTimeout:        idleLimit,
		MaxIdleConnsPerHost:    idle,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	bound(t)
	return t
}

// bound lets a transport open no more connections than there are requests ([Begin]).
func bound(t *http.Transport) {
	dial := t.DialContext
	if dial == nil {
		//lint:ignore SA1019 it is still obeyed
		if t.Dial != nil {
			return
		}
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = inCrowd(dial)
}

// Standard returns a copy of http.DefaultTransport that uses no proxy for requests to this
// machine and finds dead connections. It returns false where a program has put another
// type in its place.
func Standard(health Health) (*http.Transport, bool) {
	std, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, false
	}
	t := std.Clone()
	t.Proxy = exceptLoopback(t.Proxy)
	t.HTTP2 = health.settings(t.HTTP2)
	return t, true
}

// settings adds the checks to the settings of HTTP/2 unless these have checks of their own.
func (h Health) settings(given *http.HTTP2Config) *http.HTTP2Config {
	if given == nil {
		given = new(http.HTTP2Config)
	}
	if given.SendPingTimeout == 0 {
		given.SendPingTimeout, given.PingTimeout = h.Silence, h.Answer
	}
	return given
}

// exceptLoopback leaves out requests to this machine. The proxy is another machine as a
// rule: it would read what is sent in plain http, and can't reach this machine by such a
// name anyway. net/http's own exception knows localhost in lower case and addresses
// without a zone only.
func exceptLoopback(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	if proxy == nil {
		return nil
	}
	return func(req *http.Request) (*url.URL, error) {
		if syntax.IsLoopback(req.URL.Hostname()) {
			return nil, nil
		}
		return proxy(req)
	}
}
