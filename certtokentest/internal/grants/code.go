package grants

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

const (
	codeLife    = 10 * time.Minute
	refreshLife = 90 * 24 * time.Hour
)

// Code is what a code or a refresh token stands for: a user's sign-in.
type Code struct {
	ClientID      string
	User          string
	RedirectURI   string // must come again with the code
	CodeChallenge string // of PKCE, by S256 (RFC 7636 §4.2); "" for none
	Nonce         string
	Scopes        []string
	From          *Code // the code or refresh token that this one came for; nil: none

	family  *family
	refresh bool
	until   time.Time
	used    bool
}

// family are the codes and refresh tokens that came one for the other, and the access
// tokens with them.
type family struct {
	revoked bool
	tokens  []string
}

// Codes knows codes and refresh tokens by their hash. The zero value has none.
// Its methods may be called from many goroutines.
type Codes struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*Code
}

// New returns a code that can be redeemed once, within ten minutes.
func (l *Codes) New(c Code, now time.Time) string {
	c.until = now.Add(codeLife)
	return l.put(&c, ids.Text(64))
}

// NewRefresh returns a refresh token.
func (l *Codes) NewRefresh(c Code, now time.Time) string {
	c.refresh, c.until = true, now.Add(refreshLife)
	return l.put(&c, ids.Text(128))
}

func (l *Codes) put(c *Code, secret string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[[sha256.Size]byte]*Code)
	}
	c.family = new(family)
	if c.From != nil {
		c.family, c.From = c.From.family, nil
	}
	if len(l.known) >= maxGrants { // any one: no test needs so many
		for old := range l.known {
			delete(l.known, old)
			break
		}
	}
	l.known[sha256.Sum256([]byte(secret))] = c
	return secret
}

// Look returns what a refresh token stands for that is in force, and doesn't use it up.
func (l *Codes) Look(secret string, now time.Time) (*Code, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.known[sha256.Sum256([]byte(secret))]
	if c == nil || !c.refresh || c.used || c.family.revoked || !now.Before(c.until) {
		return nil, false
	}
	return c, true
}

// Redemption is a request that brings a code or a refresh token.
type Redemption struct {
	Secret       string
	Refresh      bool // the secret is a refresh token
	Keep         bool // a refresh token may come again
	Reuse        bool // one that was used up and comes again revokes its family (RFC 9700 §4.14.2)
	ClientID     string
	RedirectURI  string
	CodeVerifier string
	Now          time.Time
}

// Redeem uses a code or a refresh token up. For a code that comes again, and for a refresh
// token where that is looked for, it returns the tokens that were given for it, which are to
// be revoked (RFC 6749 §4.1.2).
func (l *Codes) Redeem(r Redemption) (code *Code, revoke []string, refused *refusal.Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.known[sha256.Sum256([]byte(r.Secret))]
	switch {
	case c == nil || c.refresh != r.Refresh:
		return nil, nil, refusal.New(70000, "Provided grant is invalid or malformed.")
	case c.ClientID != r.ClientID:
		return nil, nil, refusal.New(70000, "Provided grant was issued for another client.")
	case c.used && !r.Refresh:
		c.family.revoked = r.Reuse
		return nil, c.family.tokens, refusal.New(54005, "OAuth2 Authorization code was already redeemed, "+
			"please retry with a new valid code or use an existing refresh token.")
	case c.used && r.Reuse:
		c.family.revoked = true
		return nil, c.family.tokens, refusal.New(700082, "The refresh token was used before. "+
			"Those that came for it are revoked.")
	case c.family.revoked:
		return nil, nil, refusal.New(50173, "The refresh token was revoked.")
	case c.used:
		return nil, nil, refusal.New(700082, "The refresh token was used before.")
	case !r.Now.Before(c.until) && !r.Refresh:
		return nil, nil, refusal.New(
			70008,
			"The provided authorization code or refresh token has expired due to inactivity.",
		)
	case !r.Now.Before(c.until):
		return nil, nil, refusal.New(700082, "The refresh token has expired due to inactivity.")
	case !r.Refresh && r.RedirectURI != c.RedirectURI:
		return nil, nil, refusal.New(500112, "The reply address '%s' does not match the reply address '%s' "+
			"provided when requesting Authorization code.", r.RedirectURI, c.RedirectURI)
	case !r.Refresh && c.CodeChallenge == "" && r.CodeVerifier != "": // RFC 9700 §4.8.2
		return nil, nil, refusal.New(50148, "The request has a code_verifier, and the authorization request had no "+
			"code_challenge.")
	case !r.Refresh && c.CodeChallenge != "" && !provesKey(r.CodeVerifier, c.CodeChallenge):
		return nil, nil, refusal.New(50148, "The code_verifier does not match the code_challenge "+
			"supplied in the authorization request for PKCE.")
	}
	c.used = !r.Keep
	return c, nil, nil
}

// provesKey is PKCE by S256 (RFC 7636 §4.6).
func provesKey(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// Gave remembers a token that was given for a code.
func (l *Codes) Gave(c *Code, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.family.tokens = append(c.family.tokens, token)
}
