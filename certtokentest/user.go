package certtokentest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The values of grant_type that the token endpoint knows.
const (
	grantClient  = "client_credentials"
	grantUser    = "urn:ietf:params:oauth:grant-type:jwt-bearer" // on behalf of a user
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

const (
	codeLife    = 10 * time.Minute
	refreshLife = 90 * 24 * time.Hour
)

// oidcScopes ask for something beside the access token.
var oidcScopes = []string{"openid", "profile", "offline_access", "email"}

// UserToken returns an access token of a user for the API that the client is:
// what its callers bring, and what it shows to act on their behalf. It is valid
// as long as other tokens of the server ([Server.SetLifetime]).
func (s *Server) UserToken(user, clientID string) string {
	tune := s.tuned()
	g := &grant{
		clientID: stableUUID("app", "certtokentest"), // of the app that the user signed in to
		user:     user,
		audience: clientID,
		scopes:   []string{"access_as_user"},
		expires:  s.now().Add(max(tune.lifetime.Truncate(time.Second), 0)),
	}
	tenant := s.tenant()
	if s.cfg.generic {
		tenant = ""
	}
	token := s.signedToken(s.now(), s.Issuer(), tenant, g)
	s.grants.add(token, g)
	return token
}

// CodeRequest is a user's sign-in, as the authorization endpoint would have
// seen it.
type CodeRequest struct {
	ClientID      string
	User          string
	RedirectURI   string   // must come again with the code
	CodeChallenge string   // of PKCE, by S256 (RFC 7636 §4.2); "" for none
	Nonce         string   // comes again in the ID token; "" for none
	Scopes        []string // offline_access brings a refresh token, openid an ID token
}

// AuthorizationCode returns a code that the client can redeem once, within ten
// minutes.
func (s *Server) AuthorizationCode(r CodeRequest) string {
	code := randomText(64)
	s.users.put(code, &shown{CodeRequest: r, code: true, until: s.now().Add(codeLife)})
	return code
}

// shown is a code or a refresh token.
type shown struct {
	CodeRequest
	code   bool
	until  time.Time
	used   bool
	tokens []string // given for it
}

// userLog knows codes and refresh tokens by their hash.
type userLog struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*shown
}

func (l *userLog) put(secret string, s *shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[[sha256.Size]byte]*shown)
	}
	if len(l.known) >= maxGrants { // any one: no test needs so many
		for old := range l.known {
			delete(l.known, old)
			break
		}
	}
	l.known[sha256.Sum256([]byte(secret))] = s
}

// checkShown checks what a grant shows beside the client's own proof.
func (c *call) checkShown() *refusal {
	form := c.request.Form
	switch form.Get("grant_type") {
	case grantUser:
		return c.checkUserAssertion(form.Get("assertion"))
	case grantCode:
		return c.redeem(form.Get("code"), true)
	case grantRefresh:
		return c.redeem(form.Get("refresh_token"), false)
	}
	return nil
}

// checkUserAssertion wants a token of this server that was granted for the
// client: which it is, its signature can't tell better than the log.
func (c *call) checkUserAssertion(assertion string) *refusal {
	if use := c.request.Form.Get("requested_token_use"); use != "on_behalf_of" {
		return refuse(900144, "The request body must contain the following parameter: 'requested_token_use', on_behalf_of, not '%s'.", use)
	}
	g, ok := c.server.grants.find(assertion)
	switch {
	case !ok || g.revoked:
		return refuse(50013, "Assertion failed signature validation. [Reason - The key was not found.]")
	case g.user == "":
		return refuse(50013, "Assertion is not of a user: an app-only token can't be used on behalf of anybody.")
	case g.audience != c.request.ClientID:
		return refuse(500131, "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was '%s' and the expected audience is '%s'.", g.audience, c.request.ClientID)
	case !c.now.Before(g.expires):
		return refuse(500133, "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion. Current time: %s, expiry time of assertion %s.", stamp(c.now), stamp(g.expires))
	}
	c.user = g.user
	return nil
}

// redeem uses a code or a refresh token up. A code that comes again takes back
// what was given for it (RFC 6749 §4.1.2).
func (c *call) redeem(secret string, code bool) *refusal {
	l := &c.server.users
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.known[sha256.Sum256([]byte(secret))]
	form := c.request.Form
	switch {
	case s == nil || s.code != code:
		return refuse(70000, "Provided grant is invalid or malformed.")
	case s.ClientID != c.request.ClientID:
		return refuse(70000, "Provided grant was issued for another client.")
	case s.used && code:
		for _, token := range s.tokens {
			c.server.Revoke(token)
		}
		return refuse(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	case s.used:
		return refuse(700082, "The refresh token was used before.")
	case !c.now.Before(s.until) && code:
		return refuse(70008, "The provided authorization code or refresh token has expired due to inactivity.")
	case !c.now.Before(s.until):
		return refuse(700082, "The refresh token has expired due to inactivity.")
	case code && form.Get("redirect_uri") != s.RedirectURI:
		return refuse(500112, "The reply address '%s' does not match the reply address '%s' provided when requesting Authorization code.", form.Get("redirect_uri"), s.RedirectURI)
	case code && s.CodeChallenge != "" && !provesKey(form.Get("code_verifier"), s.CodeChallenge):
		return refuse(50148, "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.")
	}
	s.used = code || !c.route.dialect.aadsts // Entra ID takes a refresh token again
	c.user, c.shown = s.User, s
	return nil
}

// provesKey is PKCE by S256 (RFC 7636 §4.6).
func provesKey(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// userFields adds what comes with a user's token: the next refresh token, and
// who the user is.
func (c *call) userFields(body map[string]any) {
	if c.user == "" {
		return
	}
	if slices.Contains(c.asked, "offline_access") {
		next := randomText(128)
		c.server.users.put(next, &shown{
			CodeRequest: CodeRequest{ClientID: c.request.ClientID, User: c.user, Scopes: c.asked},
			until:       c.now.Add(refreshLife),
		})
		body["refresh_token"] = next
	}
	if slices.Contains(c.asked, "openid") {
		key, err := sharedTokenKey()
		if err != nil {
			panic("certtokentest: " + err.Error()) // crypto/rand never fails
		}
		body["id_token"] = key.sign(c.idToken())
	}
	if c.route.dialect.tenants && c.request.Form.Get("client_info") == "1" { // MSAL's key of the user's tokens
		info := mustJSON(map[string]string{"uid": stableUUID("oid", c.user), "utid": c.route.tenant})
		body["client_info"] = base64.RawURLEncoding.EncodeToString(info)
	}
	body["scope"] = strings.Join(c.scopes, " ")
}

// idTokenClaims are those that idToken sets.
var idTokenClaims = []string{
	"iss", "aud", "sub", "iat", "nbf", "exp", "nonce", "preferred_username", "name", "oid", "tid", "ver",
}

// idToken says who the user is (OpenID Connect Core §2), to Entra ID's clients
// in its own claims too.
func (c *call) idToken() jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": c.server.issuerOf(c.route), "aud": c.request.ClientID, "sub": stableUUID("oid", c.user),
		"iat": c.now.Unix(), "nbf": c.now.Unix(), "exp": c.now.Add(time.Hour).Unix(),
		"preferred_username": c.user, "name": c.user,
	}
	if c.route.dialect.tenants {
		claims["oid"], claims["tid"], claims["ver"] = claims["sub"], c.route.tenant, "2.0"
	}
	if c.shown != nil && c.shown.Nonce != "" {
		claims["nonce"] = c.shown.Nonce
	}
	return claims
}

// remember lets a code that comes again take back this token.
func (c *call) remember(token string) {
	if c.shown == nil {
		return
	}
	c.server.users.mu.Lock()
	defer c.server.users.mu.Unlock()
	c.shown.tokens = append(c.shown.tokens, token)
}
