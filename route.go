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
	if err := checkReusable(c, wanted); err != nil {
		return nil, err
	}
	hosts, err := syntax.ParseHosts(names)
	if err != nil {
		return nil, fmt.Errorf("the field Hosts: %w", err)
	}
	wanted.Scopes = slices.Clone(wanted.Scopes)
	r := &route{
		wanted: wanted, hosts: hosts, names: slices.Clone(names),
		loopbackHTTP: c.authority.loopbackHTTP, given: base, ctx: c.work.Context(),
	}
	if c.bindings != nil {
		r.presenter = mtls.NewPresenter(r.ctx, boundBase(base))
	}
	return r, nil
}

// checkReusable refuses a request that can't be used for many HTTP requests.
func checkReusable(c *Client, req Request) error {
	if _, err := c.key(req); err != nil {
		return err
	}
	switch grant := req.Grant.params(); {
	case grant.once:
		return fmt.Errorf("%s is redeemed once, for one token, and a Transport needs one for each request: "+
			"acquire the token with Client.Acquire and set the header Authorization, "+
			"or act for a user with OnBehalfOf", grant.name)
	case req.Fresh:
		return errors.New("the field Fresh would ask the token endpoint at every request: " +
			"leave it out, a token that was refused is renewed anyway")
	case req.Claims != "":
		return errors.New("the field Claims would ask the token endpoint at every request: " +
			"leave them out, challenges are answered anyway")
	}
	return nil
}

// check refuses a URL to which the token must not be sent. The request fails and isn't
// sent without the token: the answer would be a 401, or public data, and the reader would
// look for the fault in the wrong place. The rest of the request may be confidential too.
func (r *route) check(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("the request has no URL")
	case u.Scheme == "https":
	case u.Scheme == "http" && r.loopbackHTTP && syntax.IsLoopback(u.Hostname()):
	default:
		return fmt.Errorf("the token is sent over https only, not to %s://%s",
			redact.Short(u.Scheme), redact.Short(u.Host))
	}
	if !r.hosts.Empty() && !r.hosts.Has(u) {
		return fmt.Errorf("the token is not for %s: Transport.Hosts has %s; "+
			"add it there if it is to be given the token, or send the request without this Transport",
			redact.Short(syntax.HostOf(u)), redact.Text(strings.Join(r.names, ", "), redact.MaxText))
	}
	return nil
}

// send sends a request with a token.
func (r *route) send(req *http.Request, token *Token) (*http.Response, error) {
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
	resp, err := over.RoundTrip(signed)
	if resp == nil && err == nil {
		return nil, public(errors.New("the base transport returned neither a response nor an error"))
	}
	if err != nil {
		err = withoutToken(err, token)
	}
	if resp != nil {
		resp.Request = req // without the token, in case the caller prints it
	}
	return resp, err
}

// withoutToken removes the token from an error of the base transport. An error without it
// stays as it is, because net/http looks at the type of errors.
func withoutToken(err error, token *Token) error {
	if secrets := redact.New(token.AccessToken()); secrets.Holds(err.Error()) {
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
