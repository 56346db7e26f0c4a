package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

// sight is what the endpoint saw.
type sight struct {
	Requests  int64 // for a token
	Others    int64 // for anything else
	Opened    int64 // connections
	AtOnce    int64 // connections at the peak
	Handshake int64 // connections that ended in their handshake
}

// serveRush is the endpoint's process. It ends with its input.
func serveRush(in *json.Decoder, out *json.Encoder) error {
	var http2 bool
	if err := in.Decode(&http2); err != nil {
		return err
	}
	certificate, err := newServerCertificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	seen := &watcher{grants: newEndpoint(), open: make(map[net.Conn]bool)}
	server := &http.Server{
		Handler:   seen,
		ConnState: seen.state,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Protocols: new(http.Protocols),
		ErrorLog:  log.New(io.Discard, "", 0), // a handshake that a client gave up is counted
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(http2)
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	if err := out.Encode(map[string]string{
		"Host":        listener.Addr().String(),
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
	}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.MultiReader(in.Buffered(), os.Stdin)) // until the input ends
	err = server.Close()
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return errors.Join(err, out.Encode(seen.sight()))
}

// watcher counts connections and requests, and grants whatever is asked for.
type watcher struct {
	grants   *endpoint
	requests atomic.Int64
	others   atomic.Int64

	mu     sync.Mutex        // guards the rest
	open   map[net.Conn]bool // whether a request came on it
	counts sight
}

func (w *watcher) ServeHTTP(resp http.ResponseWriter, req *http.Request) {
	body := ""
	if req.Method == http.MethodGet {
		w.others.Add(1)
		body = discovery(req.Host, req.URL.Path)
	} else {
		_, _ = io.Copy(io.Discard, req.Body)
		w.requests.Add(1)
		body = w.grants.token()
	}
	resp.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(resp, body)
}

func (w *watcher) state(conn net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch state {
	case http.StateNew:
		w.open[conn] = false
		w.counts.Opened++
		w.counts.AtOnce = max(w.counts.AtOnce, int64(len(w.open)))
	case http.StateActive:
		w.open[conn] = true
	case http.StateClosed, http.StateHijacked:
		if used, known := w.open[conn]; known && !used {
			w.counts.Handshake++
		}
		delete(w.open, conn)
	}
}

func (w *watcher) sight() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.counts
	s.Requests, s.Others = w.requests.Load(), w.others.Load()
	return s
}
