package certtoken

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

// The margins of a token's life. They are proportions, so that a token of a
// minute is cached as well as one of a day.
const (
	renewPart    = 0.75             // of the lifetime, where the server gives no refresh_in
	renewJitter  = 0.10             // so that a fleet doesn't renew in step
	maxEndMargin = 30 * time.Second // before its end a token is no longer handed out:
	endPart      = 0.05             // this part of the lifetime, at most maxEndMargin
)

// Token is an access token with what the server said of it. It is read-only,
// may be used from many goroutines, and no printing verb, logger or encoder
// shows the secret: only [Token.AccessToken] does.
type Token struct {
	life span // first, next to what a hit reads anyway

	// secret is a function so that nothing that walks through memory by
	// reflection finds the token behind it.
	secret func() (access, extra string)
	typ    string
	scopes []string

	// Unix nanoseconds: half of what two time.Time take, for every cached token.
	expires, renew int64
}

// span is a token's life on its client's clock.
type span struct {
	renew, end time.Duration // readings from which it is renewed, and no longer handed out
	ahead      time.Duration // how far the wall clock was ahead when it was granted
	granted    time.Duration
}

// grant is what a token endpoint's answer says, before any clock is looked at.
type grant struct {
	access    string
	typ       string
	scopes    []string // nil: as asked
	lifetime  time.Duration
	refreshIn time.Duration // 0: not given
	extra     string        // the other fields, a JSON object, or ""
}

// newToken starts the life of a grant that was asked for at the given reading.
// It counts from the question, not from the answer, so a slow answer makes the
// token shorter and never longer.
func newToken(g grant, asked []string, at reading) *Token {
	scopes := asked
	if g.scopes != nil && !slices.Equal(g.scopes, asked) {
		scopes = g.scopes
	}
	renewIn := renewAfter(g.lifetime, g.refreshIn)
	access, extra := g.access, g.extra
	return &Token{
		secret:  func() (string, string) { return access, extra },
		typ:     g.typ,
		scopes:  scopes,
		expires: at.time.Add(g.lifetime).UnixNano(),
		renew:   at.time.Add(renewIn).UnixNano(),
		life: span{
			granted: at.mono,
			renew:   at.mono + renewIn,
			end:     at.mono + usable(g.lifetime),
			ahead:   at.ahead,
		},
	}
}

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
	return min(time.Duration(float64(after)*jitter), usable(lifetime))
}

// AccessToken returns the secret. Send it only over https and to the resource
// that it was asked for.
func (t *Token) AccessToken() string {
	if t == nil || t.secret == nil {
		return ""
	}
	access, _ := t.secret()
	return access
}

// Type returns the scheme of the Authorization header, "Bearer" as a rule.
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
	return t.RenewAt().Add(t.life.granted - t.life.renew)
}

// Extra returns a further field of the server's answer as encoding/json
// decodes it into an any, or nil.
func (t *Token) Extra(name string) any {
	if t == nil || t.secret == nil {
		return nil
	}
	_, extra := t.secret()
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
