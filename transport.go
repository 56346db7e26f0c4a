package certtoken

import (
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Transport is a [http.RoundTripper] that puts a token on each request and passes it to
// another. Its fields are set before its first use and not changed afterwards; it must
// not be copied then. It may be used from many goroutines.
//
// The token goes to https only, and only to the host of the original request: a
// redirect to another host is followed without it. When the resource answers 401 with a
// claims challenge, or says that the token is invalid (error="invalid_token", RFC 6750
// §3.1), a new token is acquired and the request repeated once, if its body can be; at
// most one token a minute is acquired in this way. Where that fails, the 401 is the
// answer.
//
// With [WithCertificateBoundTokens], [WithTLSClientAuth] or [WithMTLSPoP], requests with a
// token present the certificate that it is bound to, over connections that have the
// settings of Base. Base must then be nil or an [*http.Transport].
//
// With [WithDPoP], requests with a token carry a proof, with the newest nonce that the host
// gave. When the resource answers 401 and asks for a nonce, the request is repeated once
// with it, if its body can be.
type Transport struct {
	// Client acquires the tokens. It must be set.
	Client *Client

	// Base sends the requests. If it is nil, that is [http.DefaultTransport], except for
	// requests to this machine (localhost, 127.0.0.0/8, ::1). Those never use a proxy and
	// go over the connections that this library's clients share: with the settings of
	// http.DefaultTransport, but with health checks of HTTP/2, at most 64 KiB of response
	// headers, and up to 32 unused connections to a host.
	Base http.RoundTripper

	// Request says which token is wanted, as a rule by its Scopes alone. It is used for
	// many HTTP requests, so it must be one that the cache can answer: with a grant that is
	// redeemed once, or with Fresh, Claims, Refused or CorrelationID, every request fails.
	Request Request

	// Hosts are the only hosts to which the token is sent. Each is an exact name, or "*."
	// and a domain for all names that have one label more, with a port where that isn't the
	// default. A request to any other host fails before anything is sent. If Hosts is empty,
	// the token is sent to every host that a request names, and that may be one that came
	// in a response, such as the link to a next page. Leave it empty only where the program
	// itself chooses each host.
	Hosts []string

	// RenewOn401 acquires a new token on every 401, also on one that doesn't say that the
	// token is invalid. It is for APIs that answer so to a token that was revoked.
	RenewOn401 bool

	once  sync.Once // guards the making of route
	route *route
	err   error // why there is no route
}

var _ http.RoundTripper = (*Transport)(nil)

// Transport returns a [*Transport] that puts a token for the scopes on requests and sends
// them over base, or over [http.DefaultTransport] if that is nil. It sends the token to
// every https host that a request names. To send it to some hosts only, make a [Transport]
// with Hosts.
func (c *Client) Transport(base http.RoundTripper, scopes ...string) http.RoundTripper {
	return &Transport{Client: c, Base: base, Request: Request{Scopes: slices.Clone(scopes)}}
}

// RoundTrip implements [http.RoundTripper]. Its errors are those of the base and of
// [Client.Acquire], or they say what is wrong with the Transport, or why the token isn't
// sent to the URL.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	r, err := t.prepare()
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if leftOrigin(req) {
		return r.base(req).RoundTrip(req)
	}
	if err := r.check(req.URL); err != nil {
		closeBody(req)
		return nil, public(err)
	}
	token, err := t.Client.Acquire(req.Context(), r.wanted)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := r.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	return t.answerChallenge(req, resp, token)
}

// answerChallenge handles a 401. It acquires a token that the resource asks for and
// repeats the request. If either isn't possible, the caller gets the 401.
func (t *Transport) answerChallenge(req *http.Request, resp *http.Response, token *Token) (*http.Response, error) {
	challenge := claims.Read(resp.Header.Values("WWW-Authenticate"), token.Type())
	if challenge.UseNonce || challenge.Claims == "" && !challenge.InvalidToken && !t.RenewOn401 {
		return resp, nil // with UseNonce nothing is wrong with the token
	}
	wanted := t.route.wanted
	wanted.Claims, wanted.Refused = challenge.Claims, token
	// This is done even for a request that can't be repeated: the next one has the new token.
	newer, err := t.Client.acquire(req.Context(), wanted)
	if err != nil {
		emit(t.Client.hooks.ChallengeUnanswered, wanted.event(public(err)))
		return resp, nil
	}
	again, ok := repeatable(req)
	if !ok {
		return resp, nil
	}
	if resp.Body != nil { // a RoundTripper in a test may leave it out
		// The rest of the body is not read, because it may never end. At worst this costs a
		// connection of HTTP/1.1, which can be kept only if the body was read.
		resp.Body.Close()
	}
	return t.route.send(again, newer)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the base.
func (t *Transport) CloseIdleConnections() {
	if r, err := t.prepare(); err == nil && r.presenter != nil {
		r.presenter.CloseIdle()
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if base, ok := base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// prepare checks the fields once and makes of them what requests need.
func (t *Transport) prepare() (*route, error) {
	t.once.Do(func() {
		if t.route, t.err = newRoute(t.Client, t.Base, t.Request, t.Hosts); t.err != nil {
			t.err = public(fmt.Errorf("Transport: %w", inner(t.err)))
		}
	})
	return t.route, t.err
}

// leftOrigin reports whether a redirect took the request away from the origin that the
// caller named. It reports true also when a later redirect leads back to it, because
// another host has then chosen the URL; net/http removes Authorization in that case too.
// If a RoundTripper didn't set a response's Request, the origin of the redirect is
// unknown, and it reports true.
func leftOrigin(req *http.Request) bool {
	for at := req; at.Response != nil; at = at.Response.Request {
		from := at.Response.Request
		if from == nil || from.URL == nil || syntax.Origin(from.URL) != syntax.Origin(req.URL) {
			return true
		}
	}
	return false
}
