package certtoken

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/syntax"
)

// maxGrantText bounds the secret of a grant, in bytes. Users' tokens have a few kilobytes.
const maxGrantText = 64 << 10

// grantBearer is the grant_type of an assertion (RFC 7523 §2.1).
const grantBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// typePrefix begins the identifiers of token types (RFC 8693 §3).
const typePrefix = "urn:ietf:params:oauth:token-type:"

// Grant is what a client sends beside its own proof to be given a token (RFC 6749 §1.3).
// With the zero value the client acts as itself (client credentials, RFC 6749 §4.4).
// Make another with [OnBehalfOf], [AuthorizationCode], [RefreshToken], [TokenExchange],
// [JWTBearer], [BearerAssertion] or [AgentUser] and give it in a [Request]. A Grant is read-only and may
// be used from many goroutines. No printing verb, logger or encoder shows its secret.
type Grant struct {
	// secret is a function, because reflection can't look behind a function: no
	// printer or encoder finds the secret.
	secret func() grantParams
}

// grantParams is what a grant adds to a token request.
type grantParams struct {
	name string // of the constructor, for people
	kind grantKind
	form url.Values
	user string // SHA-256 of what the grant says of the user; "": its token isn't cached as a user's
	once bool   // it can be redeemed once: nothing is cached, joined or sent again
	err  error

	// signed is what the client signs anew for each attempt, as the form's assertion. It is
	// nil for grants whose form is complete.
	signed *Assertion

	// session has the refresh token, which is put into the form when it is redeemed. It is
	// nil for grants that aren't a session's.
	session *refreshing
}

// grantKind tells grants apart where that decides more than the form.
type grantKind int

const (
	kindOther     grantKind = iota
	kindExchange            // of one token for another
	kindSigned              // an assertion that the client signs
	kindAssertion           // an assertion that somebody else signed, sent as it is
	kindSession             // a refresh token that the library keeps
	kindAgentUser           // of an agent identity, for a user of its own
)

// clientCredentials is the grant of a client that acts as itself.
var clientCredentials = grantParams{name: "client credentials", form: url.Values{"grant_type": {"client_credentials"}}}

// OnBehalfOf asks for a token for the user whose access token is userAssertion. It is
// for an API that was called with that token and calls another API as the same user
// (RFC 7523 §2.1, with Entra ID's on_behalf_of). Check the user's token before.
//
// The new token is cached by the assertion's SHA-256, the tenant and the scopes, within
// [WithUserCacheLimit]. It is renewed when a caller comes with the same assertion. If
// the server then refuses that assertion, it isn't sent again while the token is valid.
// With [WithStore] processes share the token as they share others.
func OnBehalfOf(userAssertion string) Grant {
	sum := sha256.Sum256([]byte(userAssertion))
	return newGrant(grantParams{
		name: "OnBehalfOf",
		form: url.Values{
			"grant_type":          {grantBearer},
			"assertion":           {userAssertion},
			"requested_token_use": {"on_behalf_of"},
		},
		user: string(sum[:]),
		err:  checkSecret("the user's assertion", userAssertion),
	})
}

// AuthorizationCode redeems the code that a user's sign-in brought back (RFC
// 6749 §4.1.3). redirectURI and codeVerifier (PKCE, RFC 7636) are those of the
// authorization request; empty ones are not sent.
//
// A code can be redeemed once, so the token isn't cached: it belongs to the
// caller, with its [Token.RefreshToken]. The request is sent again only if the
// server can't have used the code: no connection was made, the answer was 429, or the
// server refused the client and the client now has another certificate or the
// server's time.
func AuthorizationCode(code, redirectURI, codeVerifier string) Grant {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
	if redirectURI != "" {
		form.Set("redirect_uri", redirectURI)
	}
	if codeVerifier != "" {
		form.Set("code_verifier", codeVerifier)
	}
	err := checkSecret("the code", code)
	length := len(codeVerifier)
	if err == nil && length > 0 && (length < 43 || length > 128 || !syntax.IsVisible(codeVerifier)) {
		err = errors.New("the code verifier is not 43 to 128 characters (RFC 7636 §4.1)")
	}
	return newGrant(grantParams{name: "AuthorizationCode", form: form, once: true, err: err})
}

// RefreshToken redeems a refresh token (RFC 6749 §6). The new token isn't cached, and
// the request is sent again only in the cases of [AuthorizationCode], because many
// servers take a refresh token once and give the next one with the answer, in
// [Token.RefreshToken].
func RefreshToken(token string) Grant {
	return newGrant(grantParams{
		name: "RefreshToken",
		form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}},
		once: true,
		err:  checkSecret("the refresh token", token),
	})
}

// userOf is the hash of what a grant says, by the name of its constructor. Each text is
// hashed behind its length, so that no two grants have the same hash. It begins with a byte
// of 0, so it is never that of OnBehalfOf, whose text has none.
func userOf(name string, texts ...string) string {
	h := sha256.New()
	for _, text := range append([]string{name}, texts...) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	return string(h.Sum(nil))
}

func newGrant(s grantParams) Grant { return Grant{secret: func() grantParams { return s }} }

// params is what g adds to a token request.
func (g Grant) params() grantParams {
	if g.secret == nil {
		return clientCredentials
	}
	return g.secret()
}

// check reports why an authority can't be asked with the grant, or why it and the
// parameters of the request don't go together.
func (p grantParams) check(authority Authority, parameters url.Values) error {
	if authority.grantOnly && p.kind != kindSigned && p.kind != kindAssertion {
		return fmt.Errorf("%s: WithoutClientAuthentication is for the grants JWTBearer and BearerAssertion", p.name)
	}
	for name := range p.form {
		if parameters.Has(name) || authority.params.Has(name) {
			return fmt.Errorf("parameter %q is set by the grant %s and can't be given", name, p.name)
		}
	}
	if p.kind == kindExchange {
		return checkRequestedType(parameters)
	}
	return nil
}

// checkRequestedType refuses a requested_token_type that isn't an identifier. The server
// would say only that it doesn't know the type.
func checkRequestedType(parameters url.Values) error {
	for _, requested := range parameters["requested_token_type"] {
		if !strings.Contains(requested, ":") {
			return errors.New("requested_token_type is not a URI: write it whole, such as " + typePrefix + "id-jag")
		}
	}
	return nil
}

// checkSecret reports why a text can't be the secret of a grant. Its errors don't repeat
// the text.
func checkSecret(what, secret string) error {
	switch {
	case secret == "":
		return fmt.Errorf("%s is empty", what)
	case len(secret) > maxGrantText:
		return fmt.Errorf("%s has more than %d bytes", what, maxGrantText)
	case !syntax.IsVisible(secret):
		return fmt.Errorf("%s has characters that it can't have", what)
	}
	return nil
}

// String names the kind of grant.
func (g Grant) String() string { return "certtoken.Grant(" + g.params().name + ")" }

// Format prints g as String does, whatever the verb.
func (g Grant) Format(s fmt.State, _ rune) { fmt.Fprint(s, g.String()) }

// LogValue logs g as String does.
func (g Grant) LogValue() slog.Value { return slog.StringValue(g.String()) }
