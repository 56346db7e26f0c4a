package certtokentest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// wire is a server's socket and what a client needs to reach it.
type wire struct {
	url       string
	ca        *x509.Certificate
	server    *http.Server
	transport *http.Transport
	accepting sync.WaitGroup
	once      sync.Once

	serving sync.RWMutex // held for reading by every request
	over    bool         // guarded by serving
}

const headerTimeout = 10 * time.Second

// listen opens the socket and starts to answer.
func (s *Server) listen() error {
	issuer, err := newTLSIssuer()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			return err
		}
	}
	address := listener.Addr().String()
	w := &wire{url: "https://" + address, ca: issuer.ca}
	s.wire = w
	w.server = &http.Server{
		Handler:           w.counted(s),
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          log.New(io.Discard, "", 0), // broken handshakes are what tests are about
		TLSConfig: &tls.Config{
			GetCertificate: issuer.certificate,
			MinVersion:     tls.VersionTLS12,
			ClientAuth:     tls.RequestClientCert, // which are checked with the request
			NextProtos:     []string{"http/1.1"},  // faults take over the connection, which HTTP/2 can't
		},
	}
	w.transport = newTransport(address, s.CertPool())
	w.accepting.Go(func() {
		_ = w.server.ServeTLS(listener, "", "") // ends with Close
	})
	return nil
}

// counted lets close wait for the requests in progress.
func (w *wire) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.serving.RLock()
		defer w.serving.RUnlock()
		if w.over {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
}

func (w *wire) close() {
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
