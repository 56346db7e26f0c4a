package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// listenLoopback opens a socket at an address of --addr, which must be of this
// machine only. It returns the host and the port that the server is called by.
func listenLoopback(ctx context.Context, addr string) (listener net.Listener, hostPort string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", failure.Usagef("--addr %q: give ADDRESS:PORT", addr)
	}
	dial := host
	if strings.EqualFold(host, "localhost") {
		dial = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(dial)
	if err != nil || !ip.IsLoopback() {
		return nil, "", failure.Usagef("--addr %q is not a loopback address", addr).
			Advise("This server hands out tokens to try clients with: it listens on 127.0.0.1,", "::1 or localhost only.")
	}
	var config net.ListenConfig
	listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(dial, port))
	if err != nil {
		return nil, "", failure.Errorf("--addr: %w", err).
			Advise("Choose another port with --addr. Port 0 stands for any that is free.")
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, "", failure.Errorf("%w", errors.Join(err, listener.Close()))
	}
	return listener, net.JoinHostPort(host, port), nil
}

// serveUntil serves until the context ends. Requests in progress then have a
// second to end.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, withTLS bool) error {
	ended := make(chan error, 1)
	go func() {
		if withTLS {
			ended <- server.ServeTLS(listener, "", "")
		} else {
			ended <- server.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		return failure.Errorf("%w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // breaks what is left
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return failure.Errorf("%w", err)
	}
	return nil
}
