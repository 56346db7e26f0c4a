package certtoken

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
)

// Session keeps a user signed in by a refresh token. Make one with [Client.Session]. It may
// be used from many goroutines, and needs no closing.
type Session struct {
	client *Client
	state  *refreshing
	grant  Grant
	err    error
}

// Session returns a session of the signed-in user whom the refresh token belongs to. A
// program has one for each user who signed in, and makes it again with the saved refresh
// token after a restart. To act on behalf of a caller after the caller's own token has
// ended, make a session of the [Token.RefreshToken] that came with the new token.
//
// Tokens are cached and renewed behind the callers, within [WithUserCacheLimit]. One
// request at a time redeems the refresh token. If the answer brings a new one, save is
// called with it, before the callers have their token and before it is redeemed in turn;
// otherwise the session keeps the one that it has. save has 5 s. If it fails, the callers
// get their token all the same, [Hooks].SessionUnsaved is called, and save is called again
// after 1 s and then at growing intervals, and before the next request. save must not use
// the session.
//
// If other processes have the same session, they need [WithStore] with a [Locker]: then
// one of them at a time redeems a refresh token, and the others learn the next one for 7
// days. Two sessions of one refresh token without that would use it twice, and the server
// may then end both.
func (c *Client) Session(refreshToken string, save func(context.Context, string) error) *Session {
	s := &Session{client: c, err: checkSecret("the refresh token", refreshToken)}
	if save == nil {
		s.err = errors.Join(s.err, errNoSave)
	}
	s.state = newRefreshing(refreshToken, save, c.work, c.hooks.SessionUnsaved)
	s.grant = newGrant(grantParams{
		name: "Session", kind: kindSession, form: url.Values{"grant_type": {"refresh_token"}}, session: s.state,
		user: userOf("Session", rand.Text()), err: s.err,
	})
	return s
}

// Token returns a token for the scopes, from the cache or by the refresh token. Without
// scopes it is for those of the sign-in. The error wraps [ErrSignInRequired] if only the
// user can help, and then also a [*TokenError], whose Claims belong into the sign-in. Its
// other errors are those of [Client.Token].
func (s *Session) Token(ctx context.Context, scopes ...string) (*Token, error) {
	return s.Acquire(ctx, Request{Scopes: scopes})
}

// Acquire is [Session.Token] for a request, which must not have a Grant.
func (s *Session) Acquire(ctx context.Context, req Request) (*Token, error) {
	if req.Grant.secret != nil {
		return nil, public(errors.New("Session: the request has a Grant, and the session's is its refresh token"))
	}
	req.Grant = s.grant
	t, err := s.client.Acquire(ctx, req)
	if err != nil {
		return nil, signInError(err)
	}
	return t, nil
}

// RefreshToken returns the newest refresh token, which is a secret. It is for a program
// that stops while save fails, and only to be kept.
func (s *Session) RefreshToken() string {
	token, _ := s.state.token()
	return token
}

// String names the session without its secret.
func (s *Session) String() string { return fmt.Sprintf("certtoken.Session(%v)", s.client) }

// Format prints s as String does, whatever the verb.
func (s Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// signInError marks an error that only the user can help with.
func signInError(err error) error {
	var te *TokenError
	if !errors.As(err, &te) {
		return err
	}
	switch te.Code {
	case "invalid_grant", "interaction_required", "login_required", "consent_required":
		return public(&kindError{ErrSignInRequired, fmt.Errorf("%w: %w", ErrSignInRequired, inner(err))})
	}
	return err
}
