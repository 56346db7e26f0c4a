package certtoken

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Transport returns a RoundTripper that puts a token for the scopes on each
// request and passes it to base, or to [http.DefaultTransport] if that is nil.
//
// The token goes to https only, and only to the host of the original request: a
// redirect to another host is followed without it. When the resource answers
// 401 with a claims challenge (error="insufficient_claims") or says that the
// token is invalid (error="invalid_token"), a new token is acquired and the
// request repeated once, if its body can be; at most one token a minute is
// acquired in this way. Where that fails, the 401 is the answer.
//
// With [WithCertificateBoundTokens] and its kin, requests that have a token
// present the certificate that it is bound to, over connections made as base
// makes them; base must be an [*http.Transport].
//
// It may be used from many goroutines.
func (c *Client) Transport(base http.RoundTripper, scopes ...string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{client: c, base: base, scopes: slices.Clone(scopes), bound: mtls.NewPresenter(c.work.Context(), base)}
}

type transport struct {
	client *Client
	base   http.RoundTripper
	scopes []string
	bound  *mtls.Presenter
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if leftHost(req) {
		return t.base.RoundTrip(req)
	}
	if err := t.checkScheme(req); err != nil {
		closeBody(req)
		return nil, public(err)
	}
	token, err := t.client.Token(req.Context(), t.scopes...)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	return t.answer(req, resp, token)
}

// answer deals with a 401: it gets a token as the resource wants it, and
// repeats the request. Where that can't be, the 401 is the answer.
func (t *transport) answer(req *http.Request, resp *http.Response, token *Token) (*http.Response, error) {
	header := resp.Header.Values("WWW-Authenticate")
	wanted := claims.Asked(header)
	if wanted == "" && !claims.InvalidToken(header) {
		return resp, nil
	}
	// Also for a request that can't be repeated: the next one will do.
	newer, err := t.client.acquire(req.Context(), Request{Scopes: slices.Clone(t.scopes), Claims: wanted}, token)
	if err != nil {
		emit(t.client.hooks.ChallengeUnanswered, Event{Scopes: t.scopes, Err: err})
		return resp, nil
	}
	again, ok := repeatable(req)
	if !ok {
		return resp, nil
	}
	discard(resp)
	return t.send(again, newer)
}

func (t *transport) send(req *http.Request, token *Token) (*http.Response, error) {
	over := t.base
	if t.client.bindings != nil {
		var err error
		if over, err = t.bound.Of(token.secret().user().binding); err != nil {
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
		return nil, errors.New(prefix + "the base transport returned neither a response nor an error")
	}
	if err != nil {
		err = withoutToken(err, token)
	}
	if resp != nil {
		resp.Request = req // who prints the response's request sees no token
	}
	return resp, err
}

// withoutToken is an error of the base transport. What holds no secret stays as it
// is: net/http looks at its type.
func withoutToken(err error, token *Token) error {
	if secrets := redact.New(token.AccessToken()); secrets.Holds(err.Error()) {
		return secrets.Error(err)
	}
	return err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach base.
func (t *transport) CloseIdleConnections() {
	t.bound.CloseIdle()
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// checkScheme refuses plain http, which would show the token to everybody on
// the way.
func (t *transport) checkScheme(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("the request has no URL")
	case req.URL.Scheme == "https":
		return nil
	case req.URL.Scheme == "http" && t.client.authority.loopbackHTTP && syntax.IsLoopback(req.URL.Hostname()):
		return nil
	}
	return fmt.Errorf("the token is sent over https only, not to %s://%s", redact.Short(req.URL.Scheme), redact.Short(req.URL.Host))
}

// leftHost tells whether a redirect took the request away from the host that
// the caller named, be it that it came back. net/http strips Authorization from
// then on, and it must stay so. Who came through plain http was where anybody
// could have redirected; and where a RoundTripper didn't say what it answered,
// nobody knows.
func leftHost(req *http.Request) bool {
	for at := req; at.Response != nil; at = at.Response.Request {
		from := at.Response.Request
		if from == nil || from.URL == nil || from.URL.Scheme != req.URL.Scheme || !strings.EqualFold(from.URL.Host, req.URL.Host) {
			return true
		}
	}
	return false
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// repeatable returns the request with its body from the start.
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

// discard reads what is left of a short body, so that the connection can be used again.
func discard(resp *http.Response) {
	if resp.Body == nil { // of a RoundTripper in a test
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}
