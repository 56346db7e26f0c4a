// Package grants holds what the test endpoint has granted: access tokens, and
// the codes and refresh tokens that bring a user's. It makes and remembers them,
// and says what each stands for. It never knows who may have one.
package grants

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Token is what an access token stands for.
type Token struct {
	ClientID  string
	User      string // "": an app's own token
	Subject   string // "": that of the user, or of the client
	Actor     string // the subject of the one who acts for the other; "": there is none
	Audiences []string
	Scopes    []string
	Expires   time.Time
	Claims    string // the parameter it was asked for with
	Bound     string // x5t#S256 of the certificate that it is bound to, or ""
	PoP       bool   // it goes with its own scheme
	Key       string // jkt of the key that it is bound to by DPoP proofs, or ""
	Revoked   bool
}

// maxGrants bounds the memory of tokens and codes; past it the oldest token is
// forgotten, and no resource accepts it any more.
const maxGrants = 1 << 17

// Tokens knows the access tokens of a server by their hash. The zero value has
// none. Its methods may be called from many goroutines.
type Tokens struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*Token
	order [][sha256.Size]byte
}

// Add remembers a token.
func (l *Tokens) Add(token string, t *Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[[sha256.Size]byte]*Token)
	}
	if len(l.order) >= maxGrants {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
	sum := sha256.Sum256([]byte(token))
	l.known[sum] = t
	l.order = append(l.order, sum)
}

// Find returns what a token stands for.
func (l *Tokens) Find(token string) (Token, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.known[sha256.Sum256([]byte(token))]
	if t == nil {
		return Token{}, false
	}
	return *t, true
}

// Revoke revokes a token, if it is one of these.
func (l *Tokens) Revoke(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.known[sha256.Sum256([]byte(token))]; t != nil {
		t.Revoked = true
	}
}

// RevokeAll revokes every token.
func (l *Tokens) RevokeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.known {
		t.Revoked = true
	}
}
