package certtoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// route is where a [Transport] sends requests, and over which connections.
type route struct {
	wanted       Request // the token
	hosts        syntax.Hosts
	names        []string // the hosts as they were given
	loopbackHTTP bool
	given        http.RoundTripper // Transport.Base; nil: http.DefaultTransport
	presenter    *mtls.Presenter   // nil: tokens are bound to no certificate
	prover       *prover           // nil: tokens are bound to no key

	ctx      context.Context    // the client's; the connections end with it
	loopback sync.Once          // guards the making of direct
	direct   *connections.Lease // for requests to this machine, which use no proxy
}

// newRoute checks the fields of a Transport.
func newRoute(c *Client, base http.RoundTripper, wanted Request, names []string) (*route, error) {
	if c == nil {
		return nil, errors.New("there is no Client: set the one that acquires the tokens")
	}
	if c.own == nil {
		return nil, errNotMade
	}
	wanted, err := c.reusable(wanted)
	if err != nil {
		return nil, err
	}
	hosts, err := syntax.ParseHosts(names)
	if err != nil {
		return nil, fmt.Errorf("the field Hosts: %w", err)
	}
	r := &route{
		wanted: wanted, hosts: hosts, names: slices.Clone(names),
		loopbackHTTP: c.authority.loopbackHTTP, given: base, ctx: c.work.Context(), prover: c.prover,
	}
	if c.authority.binds() {
		r.presenter = mtls.NewPresenter(r.ctx, boundBase(base))
	}
	return r, nil
}

// check refuses a URL to which the token must not be sent. The request fails and isn't
// sent without the token: the answer would be a 401, or public data, and the reader would
// look for the fault in the wrong place. The rest of the request may be confidential too.
func (r *route) check(u *url.URL) error {
	if u == nil {
		return errors.New("the request has no URL")
	}
	if err := checkScheme(u, r.loopbackHTTP); err != nil {
		return err
	}
	if !r.hosts.Empty() && !r.hosts.Has(u) {
		return fmt.Errorf("the token is not for %s: Transport.Hosts has %s; "+
			"add it there if it is to be given the token, or send the request without this Transport",
			redact.Short(syntax.HostOf(u)), redact.Text(strings.Join(r.names, ", "), redact.MaxText))
	}
	return nil
}

// send sends a request with a token. If the resource asks for a nonce in the proof, the
// request is sent once more with it, if its body can be.
func (r *route) send(req *http.Request, token *Token) (*http.Response, error) {
	if token.typ == exchange.NotApplicable {
		closeBody(req)
		return nil, public(errNoAccessToken)
	}
	if r.prover == nil {
		return r.sendOnce(req, token, "")
	}
	what, err := ofToken(token, req.Method, req.URL, req.Host)
	if err != nil {
		closeBody(req)
		return nil, public(err)
	}
	for first := true; ; first = false {
		made, err := r.prover.prove(req.Context(), what)
		if err != nil {
			closeBody(req)
			return nil, public(err)
		}
		resp, err := r.sendOnce(req, token, made.text)
		if err != nil || resp == nil {
			return resp, err
		}
		r.prover.note(req.URL, resp.Header)
		if !first || !asksForNonce(resp) || !r.prover.hasNewer(made) {
			return resp, nil
		}
		again, ok := repeatable(req)
		if !ok {
			return resp, nil
		}
		if resp.Body != nil {
			resp.Body.Close()
		}
		req = again
	}
}

// sendOnce sends a request with a token, and with a DPoP proof that isn't "".
func (r *route) sendOnce(req *http.Request, token *Token, proof string) (*http.Response, error) {
	over := r.base(req)
	if r.presenter != nil {
		var err error
		if over, err = r.presenter.Of(token.secret().user().binding); err != nil {
			closeBody(req)
			return nil, public(err)
		}
	}
	signed := req.Clone(req.Context())
	if signed.Header == nil {
		signed.Header = make(http.Header)
	}
	signed.Header.Set("Authorization", token.Type()+" "+token.AccessToken())
	if proof != "" {
		signed.Header.Set(dpop.Header, proof)
	}
	resp, err := over.RoundTrip(signed)
	if resp == nil && err == nil {
		return nil, public(errors.New("the base transport returned neither a response nor an error"))
	}
	if err != nil {
		err = withoutSecrets(err, token.AccessToken(), proof)
	}
	if resp != nil {
		resp.Request = req // without the token, in case the caller prints it
	}
	return resp, err
}

// withoutSecrets removes the token and its proof from an error of the base transport. An
// error without them stays as it is, because net/http looks at the type of errors.
func withoutSecrets(err error, texts ...string) error {
	if secrets := redact.New(texts...); secrets.Holds(err.Error()) {
		return secrets.Error(err)
	}
	return err
}

// base is the RoundTripper for a request that presents no certificate.
func (r *route) base(req *http.Request) http.RoundTripper {
	if r.given != nil {
		return r.given
	}
	std, ok := http.DefaultTransport.(*http.Transport)
	if ok && std.Proxy != nil && req.URL != nil && syntax.IsLoopback(req.URL.Hostname()) {
		return r.withoutProxy()
	}
	return http.DefaultTransport
}

// boundBase is the transport whose settings connections with a certificate have.
func boundBase(base http.RoundTripper) http.RoundTripper {
	if base != nil {
		return base
	}
	if std, ok := connections.Standard(connections.DefaultHealth); ok {
		return std
	}
	return http.DefaultTransport // it isn't an *http.Transport, so the presenter refuses it
}

// withoutProxy leases the connections that clients share, which use no proxy for this
// machine. They are given back when the client is closed or r is garbage.
func (r *route) withoutProxy() http.RoundTripper {
	r.loopback.Do(func() {
		lease := connections.Take(nil, defaultMaxExchanges)
		stop := context.AfterFunc(r.ctx, lease.Close)
		runtime.AddCleanup(r, func(lease *connections.Lease) {
			stop()
			lease.Close()
		}, lease)
		r.direct = lease
	})
	return r.direct.Client().Transport
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// repeatable returns the request with its body from the start, and false if its body can
// be read only once.
func repeatable(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := req.Clone(req.Context())
	again.Body = body
	return again, true
}
