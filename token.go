package certtoken

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
)

// The margins of a token's life. They are proportions, so that a token of a
// minute is cached as well as one of a day.
const (
	renewPart    = 0.75             // of the lifetime, when a renewal is due without refresh_in
	renewJitter  = 0.10             // of that time, so that processes don't renew at the same moment
	renewLatest  = 0.90             // of the lifetime, even if refresh_in is later: a renewal takes time
	renewSoonest = time.Second      // or half of the lifetime, if that is less: no renewal is due before
	endPart      = 0.05             // of the lifetime, before its end, in which it isn't handed out
	maxEndMargin = 30 * time.Second // is the most that endPart may come to
)

// Token is an access token with what the server said about it. It is read-only and may
// be used from many goroutines. No printing verb, logger or encoder shows a secret: only
// [Token.AccessToken], [Token.RefreshToken] and [Token.IDToken] return one.
type Token struct {
	life clock.Span // is the first field because every hit reads it

	// secret is a function, because reflection can't look behind a function: no
	// printer or encoder finds the token.
	secret func() secrets
	typ    string
	scopes []string

	// Unix nanoseconds, which take less memory than a time.Time in each cached token.
	expires, renew int64

	// issued is the endpoint's own time when it answered, in Unix seconds; 0 if it
	// didn't say. Other processes use it, because their clocks may differ.
	issued int64
}

// secrets are the parts of a token that are never printed.
type secrets struct {
	access, extra string
	more          *userSecrets // nil: none
}

// userSecrets belong to a user's token, or to one that is bound to a certificate. They
// are apart so that the many tokens without them take less memory.
type userSecrets struct {
	refresh, id string
	binding     *mtls.Binding // of the certificate that the token is bound to; nil: none
	key         *dpop.Key     // that the token is bound to by proofs; nil: none
}

// user returns what belongs to a user's or a bound token. It is empty for others.
func (s secrets) user() userSecrets {
	if s.more == nil {
		return userSecrets{}
	}
	return *s.more
}

// newToken makes a token that was asked for at the given reading. Its life counts from
// the request and not from the answer, so that a slow answer can't make it longer.
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
	if b != nil { // the token can't be used after the end of its certificate
		life = max(time.Second, min(life, b.NotAfter().Sub(at.Time)))
	}
	renewIn := renewAfter(life, g.RefreshIn)
	var issued int64
	if !g.Date.IsZero() {
		issued = g.Date.Unix()
	}
	return &Token{
		issued:  issued,
		secret:  hidden(s),
		typ:     g.Type,
		scopes:  scopes,
		expires: at.Time.Add(g.Lifetime).UnixNano(),
		renew:   at.Time.Add(renewIn).UnixNano(),
		life: clock.Span{
			Granted: at.Mono,
			Renew:   at.Mono + renewIn,
			End:     at.Mono + handOutTime(life),
			Ahead:   at.Ahead,
		},
	}
}

// boundTo binds a new token, which nobody else has yet, to a key that makes proofs. Without
// a key, or if the token isn't of the type DPoP, it changes nothing.
func (t *Token) boundTo(key *dpop.Key) *Token {
	if key == nil || t.typ != dpop.Scheme {
		return t
	}
	s := t.secret()
	more := s.user()
	more.key = key
	s.more = &more
	t.secret = hidden(s)
	return t
}

// isPresentable reports whether the token is bound to the certificate in use, or to none.
func (t *Token) isPresentable(bindings *mtls.Bindings) bool {
	b := t.secret().user().binding
	return b == nil || bindings.InUse(b)
}

// proofKey is the key that the token is bound to by proofs, or nil.
func (t *Token) proofKey() *dpop.Key {
	if t == nil || t.secret == nil {
		return nil
	}
	return t.secret().user().key
}

// Confirmation says what the token is bound to, as its claim cnf does (RFC 7800): "jkt" and
// the RFC 7638 thumbprint of a key ([WithDPoP]), or "x5t#S256" and the thumbprint of a
// certificate ([WithCertificateBoundTokens] and others), in base64url. Both are "" for a
// token that is bound to nothing. With both kinds it is the key.
func (t *Token) Confirmation() (method, thumbprint string) {
	if key := t.proofKey(); key != nil {
		return "jkt", key.Thumbprint()
	}
	if t == nil || t.secret == nil || t.secret().user().binding == nil {
		return "", ""
	}
	sum := t.secret().user().binding.Sum()
	return "x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:])
}

// tokenOverhead is what a cached token takes beside its texts, in bytes. See
// TestBytesPerCachedToken.
const tokenOverhead = 440

// size is how many bytes the token takes in a cache.
func (t *Token) size() int {
	s := t.secret()
	user := s.user()
	return tokenOverhead + len(s.access) + len(s.extra) + len(user.refresh) + len(user.id)
}

// hidden puts secrets behind a function, where reflection can't find them.
func hidden(s secrets) func() secrets { return func() secrets { return s } }

// handOutTime is how long a token of the given lifetime is handed out.
func handOutTime(lifetime time.Duration) time.Duration {
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

// RefreshToken returns the secret by which the caller gets the user's next token, with
// the grant of the same name, or "". A server gives one if it was asked for (scope
// offline_access), and never to a client that acts as itself. If the answer to a refresh
// token had no new one, this is the one that was sent (RFC 6749 §6). The library keeps
// it only as long as this token.
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

// Type returns the scheme of the Authorization header: "Bearer", "mtls_pop" with
// [WithMTLSPoP], or "DPoP" with [WithDPoP]. It is "N_A" for what [TokenExchange] issued and
// no resource takes.
func (t *Token) Type() string {
	if t == nil {
		return ""
	}
	return t.typ
}

// Scopes returns the granted scopes, which may be fewer than those asked for. If the
// server doesn't name them, they are those that were asked for (RFC 6749 §5.1).
func (t *Token) Scopes() []string {
	if t == nil {
		return nil
	}
	return slices.Clone(t.scopes)
}

// ExpiresAt returns when the token ends according to the server.
func (t *Token) ExpiresAt() time.Time { return t.moment(func(t *Token) int64 { return t.expires }) }

// RenewAt returns the time from which a [Client] tries to get a newer token.
func (t *Token) RenewAt() time.Time { return t.moment(func(t *Token) int64 { return t.renew }) }

// moment makes a time.Time of one of t's times. It is zero if t is no token.
func (t *Token) moment(of func(*Token) int64) time.Time {
	if t == nil || t.secret == nil {
		return time.Time{}
	}
	return time.Unix(0, of(t))
}

// is reports whether t and another are one token, in two places of the memory.
func (t *Token) is(other *Token) bool { return t == other || t.AccessToken() == other.AccessToken() }

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
