package certtokentest

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/plan"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/wire"
)

// Proxy is an HTTP proxy between a client and a server, for what companies do to
// connections: refuse them, or open their TLS. Make one with [NewProxy]. Its methods
// may be called from many goroutines.
type Proxy struct {
	wire   *wire.Proxy
	faults plan.Plan[Fault, *http.Request]

	mu    sync.Mutex
	hosts []string
}

// NewProxy starts a proxy on loopback whose tunnels all lead to a server's socket,
// whatever host is named. The server is one of [NewServer] or [Start]; any other
// fails the test, as does a failure to listen. The proxy is closed when the test
// ends. Give clients its URL:
//
//	&http.Transport{Proxy: http.ProxyURL(proxy.URL()), TLSClientConfig: &tls.Config{RootCAs: srv.CertPool()}}
func NewProxy(t testing.TB, to *Server) *Proxy {
	t.Helper()
	if to.wire == nil {
		t.Fatal("certtokentest: a proxy needs a server with a socket: make it with NewServer")
	}
	p := &Proxy{}
	listening, err := wire.ListenProxy(to.wire, p.answer)
	if err != nil {
		t.Fatal(err)
	}
	p.wire = listening
	t.Cleanup(listening.Close)
	return p
}

// URL is the proxy's address.
func (p *Proxy) URL() *url.URL {
	u, err := url.Parse(p.wire.URL())
	if err != nil {
		panic("certtokentest: " + err.Error()) // an address of net's
	}
	return u
}

// Fail plans faults for the next tunnels that are asked for, one each. One with a
// Status, an Error or a Body refuses the tunnel: 403, 502 with a web page, or 407 with a
// Proxy-Authenticate header, for instance.
func (p *Proxy) Fail(faults ...Fault) { p.faults.Add(faults) }

// FailAlways plans a fault for every tunnel that no planned one is for, until
// [Proxy.ClearFaults].
func (p *Proxy) FailAlways(fault Fault) {
	p.faults.Ask(func(*http.Request) *Fault { return &fault })
}

// ClearFaults forgets everything that was planned.
func (p *Proxy) ClearFaults() { p.faults.Clear() }

// Intercept lets the proxy open the TLS of its tunnels: it shows the client
// certificates of a CA of its own, which [Proxy.CAPEM] returns. Clients that don't
// trust it must fail.
func (p *Proxy) Intercept(on bool) { p.wire.Intercept(on) }

// CAPEM is the CA that the proxy intercepts with, in PEM.
func (p *Proxy) CAPEM() []byte { return p.wire.CAPEM() }

// Hosts are the hosts, with their ports, that tunnels were asked for, oldest first,
// refused ones included.
func (p *Proxy) Hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.hosts...)
}

// answer is what a request is answered in place of a tunnel, or nil.
func (p *Proxy) answer(r *http.Request) *answer.Answer {
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	fault := p.faults.Next(r)
	a := fault.instead((*refusal.Refusal).OAuth)
	if a == nil {
		return nil
	}
	if a.Header == nil {
		a.Header = make(http.Header)
	}
	fault.change(a, time.Now())
	return a
}
