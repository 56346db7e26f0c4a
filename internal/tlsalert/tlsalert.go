// Package tlsalert tells a server in net/http why a client ended a TLS handshake. It
// never knows what the server is for.
//
// crypto/tls doesn't know that in one frequent case: over TLS 1.3, OpenSSL says in plain
// text that it doesn't trust the server's certificate, because it has no key to
// encrypt with before it has accepted that. A server in Go has the key already, fails to
// decrypt, and reports "bad record MAC". So the last bytes of each connection are kept,
// which hold the alert.
package tlsalert

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
)

// Failures hears of the handshakes that fail: its Listener keeps what came over each
// connection last, and as the writer of an http.Server's ErrorLog it reads which of
// them failed. net/http has no other way to tell. Its methods may be called from many
// goroutines; its fields are set before the first.
type Failures struct {
	Report func(remote string, err error) // called for each failed handshake; may be nil
	Other  func(line string)              // called for what else net/http logs; may be nil

	mu    sync.Mutex
	conns map[string]*conn // by the client's address
}

const handshakeError = "http: TLS handshake error from "

// Write takes one line of net/http's log.
func (f *Failures) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	rest, ok := strings.CutPrefix(text, handshakeError)
	remote, reason, cut := strings.Cut(rest, ": ")
	switch {
	case !ok || !cut:
		if f.Other != nil {
			f.Other(text)
		}
	case f.Report != nil:
		f.Report(remote, f.reason(remote, reason))
	}
	return len(line), nil
}

// reason is what a client said in plain text, else what crypto/tls says.
func (f *Failures) reason(remote, reason string) error {
	f.mu.Lock()
	c := f.conns[remote]
	f.mu.Unlock()
	if c != nil && strings.Contains(reason, "bad record MAC") {
		if alert, ok := c.alert(); ok {
			return errors.New("remote error: " + alert.Error())
		}
	}
	return errors.New(reason)
}

// Listener is next, whose connections it watches.
func (f *Failures) Listener(next net.Listener) net.Listener { return &listener{next, f} }

type listener struct {
	net.Listener
	failures *Failures
}

func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, failures: l.failures}
	l.failures.add(c)
	return c, nil
}

func (f *Failures) add(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		f.conns = make(map[string]*conn)
	}
	f.conns[c.RemoteAddr().String()] = c
}

// remove forgets a connection, unless another has its address by now.
func (f *Failures) remove(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name := c.RemoteAddr().String(); f.conns[name] == c {
		delete(f.conns, name)
	}
}

// alertSize is the length of an alert in plain text with its record's header (RFC
// 8446 §5.1 and §6).
const alertSize = 7

// conn keeps the last bytes that were read.
type conn struct {
	net.Conn
	failures *Failures

	mu   sync.Mutex
	last []byte // at most alertSize
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = append(c.last, p[max(n-alertSize, 0):max(n, 0)]...)
	c.last = append(c.last[:0], c.last[max(len(c.last)-alertSize, 0):]...)
	return n, err
}

func (c *conn) Close() error {
	c.failures.remove(c)
	return c.Conn.Close()
}

// SetLinger is that of a TCP connection, by which a server can reset it.
func (c *conn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// alert is the alert that came last, if it wasn't encrypted: an encrypted record of TLS
// 1.3 has another type, and one of TLS 1.2 is longer.
func (c *conn) alert() (tls.AlertError, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const recordAlert, versionMajor = 21, 3
	b := c.last
	if len(b) != alertSize || b[0] != recordAlert || b[1] != versionMajor || b[3] != 0 || b[4] != 2 {
		return 0, false
	}
	return tls.AlertError(b[6]), true
}
