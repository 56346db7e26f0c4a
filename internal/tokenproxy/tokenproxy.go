// Package tokenproxy sends requests to the token endpoint through a proxy that a
// Kubernetes cluster has for them (AKS identity bindings). It isn't an HTTP proxy:
// the request's path and query are appended to the proxy's URL, and the proxy asks
// the endpoint in its own name. The package knows nothing of tokens.
package tokenproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/regularfile"
)

const (
	maxCA           = 1 << 20 // bytes of the file with the proxy's authorities
	idleConnections = 32      // kept to the proxy: as many as a client's exchanges at once
)

// Config says where the proxy is and how it is known.
type Config struct {
	URL        string // https, without user, query and fragment
	ServerName string // that its certificate must have; "": the host of the URL
	CAFile     string // PEM, read again whenever it is used
	CAData     string // the same as a text; with neither, the system's authorities count
}

// Proxy is an [http.RoundTripper]. It may be used from many goroutines.
type Proxy struct {
	base       *url.URL
	serverName string
	caFile     string
	files      regularfile.Reader

	mu        sync.Mutex // guards the rest, never held over I/O
	ca        []byte     // that transport trusts, as it was read
	transport *http.Transport
}

// New checks the configuration. It does no I/O.
func New(c Config) (*Proxy, error) {
	base, err := parse(c.URL)
	if err != nil {
		return nil, err
	}
	p := &Proxy{base: base, serverName: c.ServerName, caFile: c.CAFile}
	switch {
	case c.CAFile != "" && c.CAData != "":
		return nil, errors.New("its authorities are given twice, as a file and as a text")
	case c.CAData != "":
		roots, err := pool([]byte(c.CAData))
		if err != nil {
			return nil, err
		}
		p.transport = p.newTransport(roots)
	case c.CAFile == "":
		p.transport = p.newTransport(nil)
	}
	return p, nil
}

func parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it is not an https URL with a host")
	case u.User != nil:
		return nil, errors.New("its URL must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, errors.New("its URL must have neither query nor fragment")
	}
	if u.Path == "" {
		u.Path = "/" // else JoinPath makes a path without it
	}
	return u, nil
}

func pool(pem []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("its authorities are not certificates in PEM")
	}
	return roots, nil
}

// newTransport goes to the proxy directly, whatever proxies the environment names:
// it is within the cluster.
func (p *Proxy) newTransport(roots *x509.CertPool) *http.Transport {
	config := &tls.Config{RootCAs: roots, ServerName: p.serverName, MinVersion: tls.VersionTLS12}
	return connections.Direct(config, idleConnections, connections.DefaultHealth)
}

var _ connections.Fixed = (*Proxy)(nil)

// Host is the proxy's host, with the port where its URL has one.
func (p *Proxy) Host() string { return p.base.Host }

// IsFixed implements [connections.Fixed].
func (p *Proxy) IsFixed() {}

// RoundTrip implements [http.RoundTripper].
func (p *Proxy) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := p.trusting(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, fmt.Errorf("token proxy %s: %w", p.base.Host, err)
	}
	asked := p.base.JoinPath(req.URL.EscapedPath())
	asked.RawQuery = req.URL.RawQuery
	through := req.Clone(req.Context())
	through.URL, through.Host = asked, ""
	resp, err := transport.RoundTrip(through)
	if err != nil {
		return nil, fmt.Errorf("token proxy %s: %w", p.base.Host, err)
	}
	resp.Request = req
	return resp, nil
}

// trusting returns the transport that trusts the authorities as they are now. A file
// that is empty or can't be used, as while it is being replaced, changes nothing.
func (p *Proxy) trusting(ctx context.Context) (*http.Transport, error) {
	if p.caFile == "" {
		return p.transport, nil
	}
	pem, err := p.files.Read(ctx, p.caFile, maxCA)
	transport, replaced, err := p.trust(pem, err)
	if replaced != nil {
		replaced.CloseIdleConnections()
	}
	return transport, err
}

// trust makes a transport of what was read, if that is new and can be used, and also
// returns the one that it replaced. That one is closed without the lock, because
// closing writes to connections.
func (p *Proxy) trust(pem []byte, err error) (transport, replaced *http.Transport, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.transport != nil && (err != nil || bytes.Equal(pem, p.ca)) {
		return p.transport, nil, nil
	}
	var roots *x509.CertPool
	if err == nil {
		roots, err = pool(pem)
	}
	switch {
	case err == nil:
	case p.transport != nil:
		return p.transport, nil, nil
	default:
		return nil, nil, err
	}
	replaced = p.transport
	p.ca, p.transport = pem, p.newTransport(roots)
	return p.transport, replaced, nil
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] reach the proxy's.
func (p *Proxy) CloseIdleConnections() {
	p.mu.Lock()
	transport := p.transport
	p.mu.Unlock()
	if transport != nil {
		transport.CloseIdleConnections()
	}
}
