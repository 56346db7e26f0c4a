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
	"github.com/certtoken/certtoken/internal/exchange"
)

// TokenSource is an [oauth2.TokenSource] for one [Request] to a [Client]. It is the
// fastest way to a cached token. It may be used from many goroutines.
//
// Use it as &oauth2.Transport{Source: ts}. [oauth2.NewClient] and
// [oauth2.ReuseTokenSource] add a cache of their own, which keeps a token until 10 s
// before its end. Then a caller has to wait for every renewal.
//
// A client with [WithDPoP] has no tokens for it: its error names what to use.
//
// Where the token endpoint refused, [errors.As] finds an [*oauth2.RetrieveError] in its
// errors too.
type TokenSource struct {
	client *Client
	wanted Request
	last   atomic.Pointer[converted]
}

// converted is the token of a slot of a cache, and the same token as an oauth2.Token. A
// TokenSource keeps the last one, so that a hit neither searches the cache nor converts.
type converted struct {
	cache *cache.Cache[Token, Grant]
	slot  *cache.Slot[Token]
	token *Token
	oauth *oauth2.Token
}

var _ oauth2.TokenSource = (*TokenSource)(nil)

// TokenSource returns a source of tokens for the scopes. It does no I/O.
func (c *Client) TokenSource(scopes ...string) *TokenSource {
	return &TokenSource{client: c, wanted: Request{Scopes: slices.Clone(scopes)}}
}

// TokenSourceFor returns a source of tokens for a request: for another tenant, with
// parameters, on behalf of a user, or with a least validity. It does no I/O. A request
// that no client could send is an error, and so is one that is for a single use: with a
// grant that is redeemed once, or with Fresh, Claims, Refused or CorrelationID.
func (c *Client) TokenSourceFor(req Request) (*TokenSource, error) {
	if c.own == nil {
		return nil, errNotMade
	}
	if c.prover != nil {
		return nil, errTokenAlone
	}
	wanted, err := c.reusable(req)
	if err != nil {
		return nil, public(err)
	}
	return &TokenSource{client: c, wanted: wanted}, nil
}

// Token returns a valid token. The interface has no context, so a caller without a
// cached token waits up to 30 s, and longer if the request has to wait its turn. Callers
// share the result and must not change it.
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

// cached returns the token of the slot that was used last if it is valid, or nil.
func (s *TokenSource) cached() *oauth2.Token {
	last := s.last.Load()
	if last == nil {
		return nil
	}
	t := last.cache.At(last.slot, s.wanted.Grant, s.wanted.MinValidity)
	if t == nil || t.typ == exchange.NotApplicable {
		return nil
	}
	if t != last.token { // it was renewed
		last = s.keep(last.cache, last.slot, t)
	}
	return last.oauth
}

// acquire gets a token through the client, and keeps the slot in which the cache has it.
func (s *TokenSource) acquire(ctx context.Context) (*oauth2.Token, error) {
	if s.client == nil {
		return nil, errNotMade
	}
	if s.client.prover != nil {
		return nil, errTokenAlone
	}
	t, err := s.client.Acquire(ctx, s.wanted)
	if err != nil {
		return nil, oauthError(err)
	}
	if t.typ == exchange.NotApplicable {
		return nil, public(errNoAccessToken)
	}
	if from, slot := s.client.slotOf(s.wanted); slot != nil {
		return s.keep(from, slot, t).oauth, nil
	}
	return oauthToken(t), nil
}

// errTokenAlone: an oauth2.Transport would send the token without a proof.
var errTokenAlone = public(errors.New("a TokenSource gives the token alone, and a DPoP token is of no use " +
	"without a proof for each request: use Client.Transport, or Client.Proof with another HTTP client"))

// keep converts the token of a slot and keeps both for the next call.
func (s *TokenSource) keep(from *cache.Cache[Token, Grant], slot *cache.Slot[Token], t *Token) *converted {
	last := &converted{cache: from, slot: slot, token: t, oauth: oauthToken(t)}
	s.last.Store(last)
	return last
}

// slotOf returns the cache's slot for a request as the user gave it, or nil if there is
// none.
func (c *Client) slotOf(req Request) (*cache.Cache[Token, Grant], *cache.Slot[Token]) {
	k, err := c.key(req)
	if err != nil {
		return nil, nil
	}
	from := c.caches.of(&k)
	return from, from.Find(k)
}

// oauthToken is a token in x/oauth2's form.
func oauthToken(t *Token) *oauth2.Token {
	s := t.secret()
	token := &oauth2.Token{AccessToken: s.access, TokenType: t.typ, Expiry: t.ExpiresAt()}
	fields := map[string]any{"scope": strings.Join(t.scopes, " ")}
	if s.extra != "" {
		_ = json.Unmarshal([]byte(s.extra), &fields) // can't fail: internal/exchange wrote this JSON
	}
	return token.WithExtra(fields)
}

// oauthError makes an error that errors.As also finds as x/oauth2's, where the token
// endpoint refused.
func oauthError(err error) error {
	var te *TokenError
	if !errors.As(err, &te) {
		return err
	}
	status := fmt.Sprintf("%d %s", te.StatusCode, http.StatusText(te.StatusCode))
	return &retrieveError{error: err, as: &oauth2.RetrieveError{
		Response:         &http.Response{StatusCode: te.StatusCode, Status: status},
		ErrorCode:        te.Code,
		ErrorDescription: te.Description,
		ErrorURI:         te.URI,
	}}
}

// retrieveError is an error of ours and, for errors.As, one of x/oauth2.
type retrieveError struct {
	error
	as *oauth2.RetrieveError
}

func (e *retrieveError) Unwrap() []error { return []error{e.error, e.as} }
