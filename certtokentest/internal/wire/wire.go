// Package wire is the socket of the test endpoint: it listens on loopback with
// TLS, asks clients for a certificate, and dials itself whatever host is named. It
// never knows what the requests are about.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/tlsalert"
)

// Config is what a socket is made with.
type Config struct {
	Handler    http.Handler
	Names      []string                       // further hosts and IP addresses in its certificate
	TLSFailure func(remote string, err error) // called for each handshake that fails; may be nil
}

// Wire is a socket and what a client needs to reach it.
type Wire struct {
	url       string
	ca        *x509.Certificate
	server    *http.Server
	transport *http.Transport
	accepting sync.WaitGroup
	once      sync.Once
	conns     connections

	serving sync.RWMutex // held for reading by every request
	over    bool         // guarded by serving
}

// headerTimeout bounds a handshake and a request's header. A client on a busy machine, such as a
// JVM, takes more than ten seconds for its first handshake.
const headerTimeout = 2 * time.Minute

// Listen opens the socket and starts to answer.
func Listen(c Config) (*Wire, error) {
	issuer, err := newTLSIssuer(c.Names)
	if err != nil {
		return nil, err
	}
	listener, err := listenLoopback()
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	failures := &tlsalert.Failures{Report: c.TLSFailure} // other lines are about what tests do on purpose
	w := &Wire{url: "https://" + address, ca: issuer.ca}
	w.server = &http.Server{
		Handler:           w.counted(c.Handler),
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          log.New(failures, "", 0),
		ConnState:         w.conns.note,
		TLSConfig: &tls.Config{
			GetCertificate: issuer.certificate,
			MinVersion:     tls.VersionTLS12,
			ClientAuth:     tls.RequestClientCert, // which are checked with the request
			NextProtos:     []string{"http/1.1"},  // faults take over the connection, which HTTP/2 can't
		},
	}
	w.transport = newTransport(address, w.CertPool())
	w.accepting.Go(func() {
		_ = w.server.ServeTLS(failures.Listener(listener), "", "") // ends with Close
	})
	return w, nil
}

// listenLoopback takes IPv6 where the machine has nothing else.
func listenLoopback() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return net.Listen("tcp6", "[::1]:0")
	}
	return listener, nil
}

// URL is the socket's origin.
func (w *Wire) URL() string { return w.url }

func (w *Wire) address() string { return strings.TrimPrefix(w.url, "https://") }

// Transport reaches the socket, whatever host is asked for.
func (w *Wire) Transport() *http.Transport { return w.transport }

// CertPool holds the CA of the socket's certificates.
func (w *Wire) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(w.ca)
	return pool
}

// CAPEM is the CA of the socket's certificates in PEM.
func (w *Wire) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Raw})
}

// Connections are how many connections were opened, and how many of them were
// open at once at most.
func (w *Wire) Connections() (opened, peak int) { return w.conns.counts() }

// counted lets Close wait for the requests in progress.
func (w *Wire) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.serving.RLock()
		defer w.serving.RUnlock()
		if w.over {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
}

// Close stops listening, breaks the connections and waits for the requests in
// progress. It may be called more than once.
func (w *Wire) Close() {
	w.once.Do(func() {
		_ = w.server.Close() // its error is the listener's, which is gone either way
		w.transport.CloseIdleConnections()
	})
	w.accepting.Wait()
	w.serving.Lock()
	defer w.serving.Unlock()
	w.over = true
}

// newTransport dials the server whatever host is asked for.
func newTransport(address string, roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: headerTimeout,
		MaxIdleConnsPerHost: 16,
	}
}
