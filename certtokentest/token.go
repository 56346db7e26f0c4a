package certtokentest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issue makes an access token and remembers it.
func (s *Server) issue(c *call, life time.Duration) string {
	g := &grant{
		clientID: c.request.ClientID,
		user:     c.user,
		audience: c.resource,
		scopes:   c.scopes,
		expires:  c.now.Add(life),
		claims:   c.request.Form.Get("claims"),
		pop:      c.request.Form.Get("token_type") == tokenPoP,
	}
	if len(c.chain) > 0 {
		g.bound = confirmation(c.chain[0])
	}
	token := randomText(s.cfg.tokenSize)
	if !s.cfg.opaque {
		token = s.signedToken(c.now, s.issuerOf(c.route), c.route.tenant, g)
	}
	s.grants.add(token, g)
	c.remember(token)
	return token
}

// signedToken is a JWT with the claims of Entra ID's tokens, app-only or a
// user's.
func (s *Server) signedToken(now time.Time, issuer, tenant string, g *grant) string {
	key, err := sharedTokenKey()
	if err != nil {
		panic("certtokentest: " + err.Error()) // crypto/rand never fails
	}
	claims := jwt.MapClaims{
		"aud":       g.audience,
		"iss":       issuer,
		"iat":       now.Unix(),
		"nbf":       now.Unix(),
		"exp":       g.expires.Unix(),
		"appid":     g.clientID,
		"azp":       g.clientID,
		"appidacr":  "2", // by certificate
		"idtyp":     "app",
		"oid":       stableUUID("oid", g.clientID),
		"sub":       stableUUID("oid", g.clientID),
		"client_id": g.clientID,
		"scope":     strings.Join(g.scopes, " "),
		"uti":       randomText(22),
		"ver":       "1.0",
	}
	if g.bound != "" {
		claims["cnf"] = map[string]string{"x5t#S256": g.bound}
	}
	if tenant != "" {
		claims["tid"] = tenant
	}
	if g.user != "" {
		claims["idtyp"], claims["upn"], claims["scp"] = "user", g.user, claims["scope"]
		claims["oid"] = stableUUID("oid", g.user)
		claims["sub"] = claims["oid"]
	}
	if caps := capabilities(g.claims); len(caps) > 0 {
		claims["xms_cc"] = caps
	}
	token := key.sign(claims)
	if short := s.cfg.tokenSize - len(token); short > 0 {
		claims["aio"] = randomText(short * 3 / 4) // base64 makes four characters of three
		token = key.sign(claims)
	}
	return token
}

// capabilities reads what a claims parameter declares the client capable of.
func capabilities(claims string) []string {
	var asked struct {
		AccessToken struct {
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if claims == "" || json.Unmarshal([]byte(claims), &asked) != nil {
		return nil
	}
	return asked.AccessToken.Capabilities.Values
}

// tokenKey signs access tokens.
type tokenKey struct {
	id  string
	key *rsa.PrivateKey
}

// sharedTokenKey is that of every server of a process: to make one takes longer
// than everything else that a test does.
var sharedTokenKey = sync.OnceValues(func() (*tokenKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key.N.Bytes())
	return &tokenKey{base64.RawURLEncoding.EncodeToString(sum[:]), key}, nil
})

func (k *tokenKey) sign(claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.key)
	if err != nil {
		panic("certtokentest: " + err.Error()) // a key that was just made
	}
	return signed
}

// jwk is the public half (RFC 7518 §6.3.1).
func (k *tokenKey) jwk() map[string]string {
	var e [8]byte
	binary.BigEndian.PutUint64(e[:], uint64(k.key.E))
	return map[string]string{
		"kty": "RSA",
		"use": "sig",
		"alg": "RS256",
		"kid": k.id,
		"n":   base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString([]byte(strings.TrimLeft(string(e[:]), "\x00"))),
	}
}

// grant is what an access token stands for.
type grant struct {
	clientID string
	user     string // "": an app's own token
	audience string
	scopes   []string
	expires  time.Time
	claims   string // the parameter it was asked for with
	bound    string // x5t#S256 of the certificate that it is bound to, or ""
	pop      bool   // it goes with its own scheme
	revoked  bool
}

// maxGrants bounds the memory of tokens; past it the oldest is forgotten, and
// no resource accepts it any more.
const maxGrants = 1 << 17

// grantLog knows the tokens of this server by their hash.
type grantLog struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*grant
	order [][sha256.Size]byte
}

func (l *grantLog) add(token string, g *grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[[sha256.Size]byte]*grant)
	}
	if len(l.order) >= maxGrants {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
	sum := sha256.Sum256([]byte(token))
	l.known[sum] = g
	l.order = append(l.order, sum)
}

func (l *grantLog) find(token string) (grant, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.known[sha256.Sum256([]byte(token))]
	if g == nil {
		return grant{}, false
	}
	return *g, true
}

// Revoke makes every [Server.Resource] refuse the token from now on.
func (s *Server) Revoke(token string) {
	s.grants.mu.Lock()
	defer s.grants.mu.Unlock()
	if g := s.grants.known[sha256.Sum256([]byte(token))]; g != nil {
		g.revoked = true
	}
}

// RevokeAll revokes every token granted so far.
func (s *Server) RevokeAll() {
	s.grants.mu.Lock()
	defer s.grants.mu.Unlock()
	for _, g := range s.grants.known {
		g.revoked = true
	}
}

// randomText is n characters of base64url.
func randomText(n int) string {
	raw := make([]byte, n*3/4+1)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw)[:n]
}

// newUUID is random (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return formatUUID(b, 4)
}

// stableUUID is the same for the same name (RFC 9562 §5.8).
func stableUUID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return formatUUID([16]byte(sum[:16]), 8)
}

func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
