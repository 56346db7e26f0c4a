package certtokentest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Resource is an API that wants this server's tokens (RFC 6750). Make one with
// [Server.Resource]. Its methods may be called from many goroutines.
type Resource struct {
	server   *Server
	audience string
	next     http.Handler

	mu        sync.Mutex
	challenge string
	refusing  int // the next requests; below 0 all
	allowed   int
	refused   int
}

var _ http.Handler = (*Resource)(nil)

// Resource returns an API that answers by next whoever brings a valid token of
// this server for the audience, with the certificate that it is bound to: for Entra ID the resource, which is the scope
// without /.default, elsewhere one of the scopes. Everybody else gets 401 with
// WWW-Authenticate. Without next, the answer is a JSON object that names the
// client, and the user if there is one. [Server.Handle] puts it on this server; any other can serve it too.
func (s *Server) Resource(audience string, next http.Handler) *Resource {
	r := &Resource{server: s, audience: strings.TrimSuffix(audience, "/.default"), next: next}
	if next == nil {
		r.next = http.HandlerFunc(r.whoAmI)
	}
	return r
}

// Challenge makes the API refuse tokens that weren't asked for with these
// claims, by a claims challenge (insufficient_claims, continuous access
// evaluation). The claims are a JSON object, as the claims parameter is; an empty
// string ends it.
func (r *Resource) Challenge(claims string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.challenge = claims
}

// Refuse makes the API answer the next n requests by 401 invalid_token whatever
// token they bring; a negative n all, until the next call.
func (r *Resource) Refuse(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = n
}

// Counts are the numbers of requests that were let through and that were
// refused.
func (r *Resource) Counts() (allowed, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.allowed, r.refused
}

// ServeHTTP implements [http.Handler].
func (r *Resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if challenge := r.check(req); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":{"code":"InvalidAuthenticationToken"}}`)) // the client may have left
		return
	}
	r.next.ServeHTTP(w, req)
}

// check counts the request and returns the challenge to refuse it with, or "".
func (r *Resource) check(req *http.Request) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	challenge := r.judge(req)
	if challenge == "" {
		r.allowed++
	} else {
		r.refused++
	}
	return challenge
}

// judge is called with the lock held.
func (r *Resource) judge(req *http.Request) string {
	if r.refusing != 0 {
		r.refusing = max(r.refusing-1, -1)
		return invalidToken("The token was revoked.")
	}
	scheme, token := authorization(req)
	if token == "" {
		return `Bearer realm="certtokentest"` // RFC 6750 §3.1: no error without a token
	}
	g, ok := r.server.grants.find(token)
	chain := shownCert(req)
	switch {
	case !ok:
		return invalidToken("The token is not one of this server's.")
	case g.pop != strings.EqualFold(scheme, tokenPoP):
		return invalidToken("The token goes with another scheme.")
	case g.bound != "" && (len(chain) == 0 || confirmation(chain[0]) != g.bound):
		return invalidToken("The token is bound to another certificate than the connection's.") // RFC 8705 §3
	case g.revoked:
		return invalidToken("The token was revoked.")
	case !r.server.now().Before(g.expires):
		return invalidToken("The token has expired.")
	case g.audience != r.audience && !slices.Contains(g.scopes, r.audience):
		return invalidToken("The token is for another audience.")
	case r.challenge != "" && !covers(g.claims, r.challenge):
		return r.insufficientClaims()
	}
	return ""
}

func invalidToken(why string) string {
	return fmt.Sprintf(`Bearer realm="certtokentest", error="invalid_token", error_description="%s"`, why)
}

func (r *Resource) insufficientClaims() string {
	return fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", error="insufficient_claims", claims="%s"`,
		r.server.URL(), base64.StdEncoding.EncodeToString([]byte(r.challenge)))
}

// authorization is the scheme and token of the Authorization header; the
// scheme's case doesn't matter (RFC 9110 §11.1).
func authorization(req *http.Request) (scheme, token string) {
	values := req.Header.Values("Authorization")
	if len(values) != 1 {
		return "", ""
	}
	scheme, token, _ = strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, tokenPoP) {
		return "", ""
	}
	return scheme, token
}

// covers tells whether claims ask for everything that wanted asks for.
func covers(claims, wanted string) bool {
	var have, want any
	if json.Unmarshal([]byte(claims), &have) != nil || json.Unmarshal([]byte(wanted), &want) != nil {
		return false
	}
	return contains(have, want)
}

// contains tells whether the JSON value have is want, objects with more members
// allowed.
func contains(have, want any) bool {
	wanted, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(have, want)
	}
	got, ok := have.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range wanted {
		if member, ok := got[name]; !ok || !contains(member, value) {
			return false
		}
	}
	return true
}

func (r *Resource) whoAmI(w http.ResponseWriter, req *http.Request) {
	_, token := authorization(req)
	g, _ := r.server.grants.find(token)
	w.Header().Set("Content-Type", "application/json")
	who := map[string]any{
		"client_id": g.clientID,
		"audience":  g.audience,
		"scope":     strings.Join(g.scopes, " "),
		"path":      req.URL.Path,
	}
	if g.user != "" {
		who["user"] = g.user
	}
	_, _ = w.Write(mustJSON(who)) // the client may have left
}
