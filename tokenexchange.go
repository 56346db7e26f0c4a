package certtoken

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/syntax"
)

// maxTokenType bounds the identifier of a token type, in bytes.
const maxTokenType = 256

// TokenExchange asks for a token in exchange for another one, the subject token (RFC
// 8693). tokenType is the subject token's type as an identifier, or the last part of one of
// the standard's: access_token, refresh_token, id_token, jwt, saml1, saml2. What the new
// token is for is said by Request.Scopes and by audience, resource and
// requested_token_type in [Request.Parameters]. [Grant.WithActor] adds who acts.
//
// The new token is cached by all of that, within [WithUserCacheLimit], and renewed when a
// caller comes with the same subject token, as with [OnBehalfOf]. An issued_token_type
// that isn't the requested type is [ErrBadResponse].
//
// The answer may be no access token: an ID token, or an ID-JAG, whose type is
// urn:ietf:params:oauth:token-type:id-jag. Unless its type was requested, that is
// [ErrBadResponse]. Otherwise [Token.Type] is N_A, and [Token.AccessToken] returns what was
// issued. A [Transport], a [TokenSource] and [Token.SetAuthHeader] refuse to send it. Give
// an ID-JAG to the other server's client, in the grant [BearerAssertion].
func TokenExchange(token, tokenType string) Grant {
	tokenType, err := canonicalType("the subject token", tokenType)
	return newExchange(url.Values{
		"grant_type":         {exchange.GrantExchange},
		"subject_token":      {token},
		"subject_token_type": {tokenType},
	}, errors.Join(checkSecret("the subject token", token), err))
}

// WithActor returns a grant of [TokenExchange] that also names who acts for the subject,
// by a token of theirs and its type (RFC 8693 §2.1). For other grants it is an error,
// which the request returns.
func (g Grant) WithActor(token, tokenType string) Grant {
	p := g.params()
	if p.kind != kindExchange {
		p.err = errors.Join(p.err, errors.New("WithActor is for TokenExchange"))
		return newGrant(p)
	}
	tokenType, err := canonicalType("the actor token", tokenType)
	form := maps.Clone(p.form)
	form["actor_token"], form["actor_token_type"] = []string{token}, []string{tokenType}
	return newExchange(form, errors.Join(p.err, checkSecret("the actor token", token), err))
}

func newExchange(form url.Values, err error) Grant {
	return newGrant(grantParams{
		name: "TokenExchange", kind: kindExchange, form: form, err: err,
		user: userOf("TokenExchange", form.Get("subject_token"), form.Get("subject_token_type"),
			form.Get("actor_token"), form.Get("actor_token_type")),
	})
}

// canonicalType makes the identifier of a token's type, of which the last part may be
// given alone. An identifier is a URI, so it has a colon.
func canonicalType(of, tokenType string) (string, error) {
	switch {
	case tokenType == "":
		return "", fmt.Errorf("the type of %s is empty", of)
	case len(tokenType) > maxTokenType || !syntax.IsVisible(tokenType):
		return "", fmt.Errorf("the type of %s is not a URI", of)
	case !strings.Contains(tokenType, ":"):
		return typePrefix + tokenType, nil
	}
	return tokenType, nil
}
