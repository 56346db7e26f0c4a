package certtoken

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
)

// The margins of a token's life. They are proportions, so that a token of a
// minute is cached as well as one of a day.
const (
	renewPart    = 0.75             // of the lifetime, where the server gives no refresh_in
	renewJitter  = 0.10             // so that a fleet doesn't renew in step
	renewLatest  = 0.90             // of the lifetime, whatever the server says: a renewal takes time
	renewSoonest = time.Second      // or half of the lifetime: so long a token is left alone
	maxEndMargin = 30 * time.Second // before its end a token is no longer handed out:
	endPart      = 0.05             // this part of the lifetime, at most maxEndMargin
)

// Token is an access token with what the server said of it. It is read-only,
// may be used from many goroutines, and no printing verb, logger or encoder
// shows a secret: only [Token.AccessToken], [Token.RefreshToken] and
// [Token.IDToken] do.
type Token struct {
	life clock.Span // first, next to what a hit reads anyway

	// secret is a function so that nothing that walks through memory by
	// reflection finds the token behind it.
	secret func() secrets
	typ    string
	scopes []string

	// Unix nanoseconds: half of what two time.Time take, for every cached token.
	expires, renew int64

	// issued is the endpoint's own time when it answered, in Unix seconds; 0 if it
	// didn't say. Other processes, whose clocks differ, go by it.
	issued int64
}

// secrets are what lies behind a token.
type secrets struct {
	access, extra string
	more          *userSecrets // nil: none
}

// userSecrets come with a user's token, or with one that is bound to a
// certificate. They lie apart, so that the many tokens without are no larger.
type userSecrets struct {
	refresh, id string
	binding     *mtls.Binding // that the token belongs to; nil: whoever has it can use it
}

// user is what came with a user's or a bound token, or nothing.
func (s secrets) user() userSecrets {
	if s.more == nil {
		return userSecrets{}
	}
	return *s.more
}

// newToken starts the life of a token that was asked for at the given reading.
// It counts from the question, not from the answer, so a slow answer makes the
// token shorter and never longer.
func newToken(g exchange.Answer, asked []string, at clock.Reading, b *mtls.Binding) *Token {
	scopes := asked
	if g.Scopes != nil && !slices.Equal(g.Scopes, asked) {
		scopes = g.Scopes
	}
	s := secrets{access: g.Access, extra: g.Extra}
	life := g.Lifetime
	if g.Refresh != "" || g.ID != "" || b != nil {
		s.more = &userSecrets{refresh: g.Refresh, id: g.ID, binding: b}
	}
	if b != nil { // without its certificate it is of no use
		life = max(time.Second, min(life, b.NotAfter().Sub(at.Time)))
	}
	renewIn := renewAfter(life, g.RefreshIn)
	var issued int64
	if !g.Date.IsZero() {
		issued = g.Date.Unix()
	}
	return &Token{
		issued:  issued,
		secret:  secretly(s),
		typ:     g.Type,
		scopes:  scopes,
		expires: at.Time.Add(g.Lifetime).UnixNano(),
		renew:   at.Time.Add(renewIn).UnixNano(),
		life: clock.Span{
			Granted: at.Mono,
			Renew:   at.Mono + renewIn,
			End:     at.Mono + usable(life),
			Ahead:   at.Ahead,
		},
	}
}

// secretly puts secrets where no reflection finds them.
func secretly(s secrets) func() secrets { return func() secrets { return s } }

// usable is how long a token of the given lifetime is handed out.
func usable(lifetime time.Duration) time.Duration {
	return lifetime - min(maxEndMargin, time.Duration(float64(lifetime)*endPart))
}

// renewAfter is when a token of the given lifetime is due for renewal.
func renewAfter(lifetime, refreshIn time.Duration) time.Duration {
	after := time.Duration(float64(lifetime) * renewPart)
	if refreshIn > 0 && refreshIn < lifetime {
		after = refreshIn
	}
	jitter := 1 + renewJitter*(2*rand.Float64()-1)
	after = time.Duration(float64(after) * jitter)
	return min(max(after, min(renewSoonest, lifetime/2)), time.Duration(float64(lifetime)*renewLatest))
}

// AccessToken returns the secret. Send it only over https and to the resource
// that it was asked for.
func (t *Token) AccessToken() string {
	if t == nil || t.secret == nil {
		return ""
	}
	return t.secret().access
}

// RefreshToken returns the secret by which the caller gets the next token
// without the user, by the grant of the same name, or "": a server gives one where it was
// asked for (scope offline_access), and never to a client that acts as itself.
// A token that was got by a refresh token has that one where the server gave no
// new one (RFC 6749 §6). The library keeps it only as long as this token.
func (t *Token) RefreshToken() string {
	if t == nil || t.secret == nil {
		return ""
	}
	return t.secret().user().refresh
}

// IDToken returns the JWT that says who signed in (OpenID Connect Core §2), or
// "". It is as the server sent it: nothing about it was checked.
func (t *Token) IDToken() string {
	if t == nil || t.secret == nil {
		return ""
	}
	return t.secret().user().id
}

// Type returns the scheme of the Authorization header: "Bearer", or "mtls_pop"
// with [WithMTLSPoP].
func (t *Token) Type() string {
	if t == nil {
		return ""
	}
	return t.typ
}

// Scopes returns the granted scopes, which may be fewer than those asked for.
// Where the server says nothing, they are those (RFC 6749 §5.1).
func (t *Token) Scopes() []string {
	if t == nil {
		return nil
	}
	return slices.Clone(t.scopes)
}

// ExpiresAt returns when the token ends, by what the server said.
func (t *Token) ExpiresAt() time.Time { return t.moment(func(t *Token) int64 { return t.expires }) }

// RenewAt returns when a [Client] starts to look for a newer one.
func (t *Token) RenewAt() time.Time { return t.moment(func(t *Token) int64 { return t.renew }) }

// moment is a point of the token's life, or the zero time of none.
func (t *Token) moment(of func(*Token) int64) time.Time {
	if t == nil || t.secret == nil {
		return time.Time{}
	}
	return time.Unix(0, of(t))
}

// granted is when the token was asked for.
func (t *Token) granted() time.Time {
	return t.RenewAt().Add(t.life.Granted - t.life.Renew)
}

// Extra returns a further field of the server's answer as encoding/json
// decodes it into an any (numbers as float64), or nil.
func (t *Token) Extra(name string) any {
	if t == nil || t.secret == nil {
		return nil
	}
	extra := t.secret().extra
	if extra == "" {
		return nil
	}
	var fields map[string]any
	if json.Unmarshal([]byte(extra), &fields) != nil {
		return nil
	}
	return fields[name]
}

// String describes the token without its secret.
func (t *Token) String() string {
	if t == nil || t.secret == nil {
		return "certtoken.Token(none)"
	}
	return fmt.Sprintf("certtoken.Token(%s, scopes %q, expires %s)",
		t.typ, t.scopes, t.ExpiresAt().UTC().Format(time.RFC3339))
}

// Format prints t as String does, whatever the verb.
func (t Token) Format(s fmt.State, _ rune) { fmt.Fprint(s, t.String()) }

// LogValue logs t as String does.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
