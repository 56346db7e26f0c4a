package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
)

// Proxy is an HTTP proxy on loopback that knows CONNECT only (RFC 9110 §9.3.6). All
// its tunnels lead to one socket, whatever host is named.
type Proxy struct {
	target  *Wire
	refuse  func(*http.Request) *answer.Answer
	url     string
	issuer  *tlsIssuer
	server  *http.Server
	opens   atomic.Bool // TLS is ended and begun anew
	serving sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // of tunnels
	closed bool
}

// ListenProxy starts a proxy. refuse returns what a CONNECT is answered in place of
// a tunnel, or nil.
func ListenProxy(target *Wire, refuse func(*http.Request) *answer.Answer) (*Proxy, error) {
	issuer, err := newTLSIssuer(nil)
	if err != nil {
		return nil, err
	}
	listener, err := listenLoopback()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		target: target,
		refuse: refuse,
		url:    "http://" + listener.Addr().String(),
		issuer: issuer,
		conns:  make(map[net.Conn]struct{}),
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	p.serving.Go(func() {
		_ = p.server.Serve(listener) // ends with Close
	})
	return p, nil
}

// URL is the proxy's address.
func (p *Proxy) URL() string { return p.url }

// Intercept lets the proxy end the TLS of its tunnels with certificates of a CA of
// its own.
func (p *Proxy) Intercept(on bool) { p.opens.Store(on) }

// CAPEM is that CA in PEM.
func (p *Proxy) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.issuer.ca.Raw})
}

// Close stops listening, breaks the tunnels and waits for their end. It may be
// called more than once.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	_ = p.server.Close()
	p.serving.Wait()
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a := p.refuse(r); a != nil {
		a.Serve(w, r)
		return
	}
	if r.Method != http.MethodConnect {
		http.Error(w, "This proxy knows CONNECT only.", http.StatusNotImplemented)
		return
	}
	var d net.Dialer
	server, err := d.DialContext(r.Context(), "tcp", p.target.address())
	if err != nil {
		http.Error(w, "The server can't be reached.", http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close()
		panic(http.ErrAbortHandler)
	}
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_, _ = client.Close(), server.Close()
		return
	}
	p.tunnel(client, server)
}

// tunnel copies both ways until either side ends or the proxy is closed.
func (p *Proxy) tunnel(client, server net.Conn) {
	if !p.adopt(client, server) {
		return
	}
	defer p.drop(client, server)
	if p.opens.Load() {
		client, server = p.open(client, server)
	}
	var other sync.WaitGroup
	other.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	other.Wait()
}

// open ends the client's TLS and begins another to the server. Where the client's
// handshake fails, the first read does, and with it the tunnel.
func (p *Proxy) open(client, server net.Conn) (net.Conn, net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), headerTimeout)
	defer cancel()
	ended := tls.Server(client, &tls.Config{GetCertificate: p.issuer.certificate, MinVersion: tls.VersionTLS12})
	_ = ended.HandshakeContext(ctx)
	return ended, tls.Client(server, &tls.Config{
		ServerName: cmp.Or(ended.ConnectionState().ServerName, "localhost"),
		RootCAs:    p.target.CertPool(),
		MinVersion: tls.VersionTLS12,
	})
}

// adopt lets Close end the connections and wait for their tunnel. It reports false
// for a proxy that is closed, and closes them.
func (p *Proxy) adopt(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		for _, conn := range conns {
			_ = conn.Close()
		}
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	p.serving.Add(1)
	return true
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(p.conns, conn)
	}
	p.serving.Done()
}
