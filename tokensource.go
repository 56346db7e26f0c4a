package certtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken/internal/cache"
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
	slot  *cache.Slot[Token]
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
	if b == nil {
		return nil
	}
	t := s.client.own.At(b.slot, Grant{})
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

func (s *TokenSource) bind(to *cache.Slot[Token], t *Token) *bound {
	b := &bound{slot: to, token: t, oauth: oauthToken(t)}
	s.bound.Store(b)
	return b
}

// slotOf finds the slot of scopes as a user spells them, or nil.
func (c *Client) slotOf(scopes []string) *cache.Slot[Token] {
	k, err := c.key(Request{Scopes: scopes})
	if err != nil {
		return nil
	}
	return c.own.Find(k)
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
