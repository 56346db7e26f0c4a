package certtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/oauth2"
)

// TokenSource is a [Client] bound to scopes, as an [oauth2.TokenSource]. It is
// the fastest way to a cached token. It may be used from many goroutines.
//
// Use it as oauth2.Transport{Source: ts}. [oauth2.NewClient] and
// [oauth2.ReuseTokenSource] put a cache of their own before it, which sits on a token
// until 10 s before its end: every renewal then happens in a caller's time.
//
// Its errors also answer [errors.As] for [*oauth2.RetrieveError] where the token
// endpoint refused.
type TokenSource struct {
	client *Client
	scopes []string
	bound  atomic.Pointer[bound]
}

// bound is the slot that a TokenSource found, and its token in the form that
// x/oauth2 wants.
type bound struct {
	slot  *slot
	token *Token
	oauth *oauth2.Token
}

var _ oauth2.TokenSource = (*TokenSource)(nil)

// TokenSource returns a source of tokens for the scopes. It does no I/O.
func (c *Client) TokenSource(scopes ...string) *TokenSource {
	return &TokenSource{client: c, scopes: slices.Clone(scopes)}
}

// Token returns a valid token. The interface has no context: a caller without
// a cached token waits up to 30 s. Callers share the result and must not change it.
func (s *TokenSource) Token() (*oauth2.Token, error) {
	if t := s.cached(); t != nil {
		return t, nil
	}
	return s.acquire(context.Background())
}

// TokenContext is Token with a context for the wait.
func (s *TokenSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if t := s.cached(); t != nil {
		return t, nil
	}
	return s.acquire(ctx)
}

// cached is the token of the slot that s is bound to, or nil.
func (s *TokenSource) cached() *oauth2.Token {
	b := s.bound.Load()
	if b == nil || b.slot.dead.Load() {
		return nil
	}
	t := s.client.hit(b.slot, Grant{})
	if t == nil {
		return nil
	}
	if t != b.token {
		b = s.bind(b.slot, t)
	}
	return b.oauth
}

// acquire gets a token and binds s to its slot.
func (s *TokenSource) acquire(ctx context.Context) (*oauth2.Token, error) {
	if s.client == nil {
		return nil, errNotMade
	}
	t, err := s.client.Token(ctx, s.scopes...)
	if err != nil {
		return nil, oauthError(err)
	}
	if found := s.client.slotOf(s.scopes); found != nil {
		return s.bind(found, t).oauth, nil
	}
	return oauthToken(t), nil
}

func (s *TokenSource) bind(to *slot, t *Token) *bound {
	b := &bound{slot: to, token: t, oauth: oauthToken(t)}
	s.bound.Store(b)
	return b
}

// slotOf finds the slot of scopes as a user spells them, or nil.
func (c *Client) slotOf(scopes []string) *slot {
	k, err := c.key(Request{Scopes: scopes})
	if err != nil {
		return nil
	}
	return c.cache.find("", "", k.scopes)
}

func oauthToken(t *Token) *oauth2.Token {
	s := t.secret()
	token := &oauth2.Token{AccessToken: s.access, TokenType: t.typ, Expiry: t.ExpiresAt()}
	fields := map[string]any{"scope": strings.Join(t.scopes, " ")}
	if s.extra != "" {
		_ = json.Unmarshal([]byte(s.extra), &fields) // was checked when it came
	}
	return token.WithExtra(fields)
}

// oauthError lets a refusal be found as x/oauth2's error too.
func oauthError(err error) error {
	var te *TokenError
	if !errors.As(err, &te) {
		return err
	}
	return &retrieveError{error: err, as: &oauth2.RetrieveError{
		Response:         &http.Response{StatusCode: te.StatusCode, Status: fmt.Sprintf("%d %s", te.StatusCode, http.StatusText(te.StatusCode))},
		ErrorCode:        te.Code,
		ErrorDescription: te.Description,
		ErrorURI:         te.URI,
	}}
}

type retrieveError struct {
	error
	as *oauth2.RetrieveError
}

func (e *retrieveError) Unwrap() []error { return []error{e.error, e.as} }

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
	return &transport{client: c, base: base, scopes: slices.Clone(scopes), bound: presenter{base: base, client: c}}
}

type transport struct {
	client *Client
	base   http.RoundTripper
	scopes []string
	bound  presenter
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if leftHost(req) {
		return t.base.RoundTrip(req)
	}
	if err := t.checkScheme(req); err != nil {
		closeBody(req)
		return nil, err
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
	claims := claimsOf(header)
	if claims == "" && !saysInvalidToken(header) {
		return resp, nil
	}
	// Also for a request that can't be repeated: the next one will do.
	newer, err := t.client.acquire(req.Context(), ask{
		Request:   Request{Scopes: slices.Clone(t.scopes), Claims: claims},
		insteadOf: token,
	})
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
	if t.client.presents {
		var err error
		if over, err = t.bound.of(token.secret().user().binding); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	signed := req.Clone(req.Context())
	if signed.Header == nil {
		signed.Header = make(http.Header)
	}
	signed.Header.Set("Authorization", token.Type()+" "+token.AccessToken())
	resp, err := over.RoundTrip(signed)
	if resp == nil && err == nil {
		return nil, errors.New("certtoken: the base transport returned neither a response nor an error")
	}
	if resp != nil {
		resp.Request = req // who prints the response's request sees no token
	}
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach base.
func (t *transport) CloseIdleConnections() {
	t.bound.closeIdle()
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// checkScheme refuses plain http, which would show the token to everybody on
// the way.
func (t *transport) checkScheme(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("certtoken: the request has no URL")
	case req.URL.Scheme == "https":
		return nil
	case req.URL.Scheme == "http" && t.client.authority.loopbackHTTP && isLoopback(req.URL.Hostname()):
		return nil
	}
	return fmt.Errorf("certtoken: the token is sent over https only, not to %s://%s", shorten(req.URL.Scheme), shorten(req.URL.Host))
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
