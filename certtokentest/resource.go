package certtokentest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/challenge"
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/plan"
	"github.com/certtoken/certtoken/certtokentest/internal/possession"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// Resource is an API that wants this server's tokens (RFC 6750). Make one with
// [Server.Resource]. Its methods may be called from many goroutines.
type Resource struct {
	tokens   *grants.Tokens
	now      func() time.Time
	origin   string // of the token endpoint, for challenges
	audience string
	next     http.Handler
	faults   plan.Plan[Fault, *http.Request]
	proofs   *possession.Checker // of DPoP; nil: there are no such tokens

	mu        sync.Mutex
	challenge challenge.Challenge
	refusing  int // the next requests; below 0 all
	allowed   int
	refused   int
}

var _ http.Handler = (*Resource)(nil)

func newResource(e *endpoint, origin, audience string, next http.Handler) *Resource {
	r := &Resource{
		tokens:   &e.tokens,
		now:      e.now,
		origin:   origin,
		audience: strings.TrimSuffix(audience, "/.default"),
		next:     next,
	}
	if e.cfg.dpop != nil {
		r.proofs = e.cfg.dpop.checker(e.cfg.dpop.ResourceNonces)
	}
	if next == nil {
		r.next = http.HandlerFunc(r.whoAmI)
	}
	return r
}

// Challenge makes the API refuse tokens that weren't asked for with these
// claims, by a claims challenge (insufficient_claims, continuous access
// evaluation). The claims are a JSON object, as the claims parameter is; an empty
// string ends it.
func (r *Resource) Challenge(claims string) { r.ChallengeWith("insufficient_claims", claims) }

// ChallengeWith is [Resource.Challenge] with another error: Azure Resource Manager
// challenges with claims beside invalid_token.
func (r *Resource) ChallengeWith(code, claims string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.challenge = challenge.Challenge{Code: code, Claims: claims}
}

// Refuse makes the API answer the next n requests by 401 invalid_token whatever
// token they bring; a negative n all, until the next call.
func (r *Resource) Refuse(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = n
}

// Fail plans faults for the next requests to the API, one each. A fault with an
// Error is a 401 whose WWW-Authenticate says so, with its Claims; 403 for
// insufficient_scope. One with a Status, a Body or a Header answers in the API's
// place: a challenge that no API should send, for instance. One with a Delay or a
// Drip alone slows the answer that would come anyway down.
func (r *Resource) Fail(faults ...Fault) { r.faults.Add(faults) }

// FailFunc lets a function decide about every request that no planned fault is for;
// nil means none. A nil function decides nothing any more.
func (r *Resource) FailFunc(decide func(*http.Request) *Fault) { r.faults.Ask(decide) }

// Counts are the numbers of requests that were let through and that were
// refused, by the API or by a fault in its place.
func (r *Resource) Counts() (allowed, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.allowed, r.refused
}

// ServeHTTP implements [http.Handler].
func (r *Resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	fault := r.faults.Next(req)
	if fault == nil {
		r.serve(w, req)
		return
	}
	a := fault.instead(r.faultChallenge)
	if a == nil {
		b := answer.NewBuffer()
		r.serve(b, req)
		a = b.Answer()
	} else {
		r.count(false)
	}
	if a.Header == nil {
		a.Header = make(http.Header)
	}
	a.Header.Set("Date", r.now().UTC().Format(http.TimeFormat))
	fault.change(a, r.now())
	a.Serve(w, req)
}

// serve answers as an API does that nothing is wrong with.
func (r *Resource) serve(w http.ResponseWriter, req *http.Request) {
	refused := r.check(req)
	r.count(refused == nil)
	putNonce(r.proofs, w.Header(), r.now())
	if refused == nil {
		r.next.ServeHTTP(w, req)
		return
	}
	if r.proofs != nil {
		refused.Algorithms = r.proofs.Algorithms()
		scheme, _ := authorization(req)
		refused.DPoP = isDPoP(scheme)
	}
	refused.Answer().Serve(w, req)
}

func (r *Resource) count(allowed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if allowed {
		r.allowed++
	} else {
		r.refused++
	}
}

// check returns the challenge to refuse a request with, or nil.
func (r *Resource) check(req *http.Request) *challenge.Challenge {
	wanted, revoked := r.takeRefusal()
	if revoked {
		return challenge.InvalidToken("The token was revoked.")
	}
	scheme, token := authorization(req)
	if token == "" {
		return &challenge.Challenge{} // RFC 6750 §3.1: no error without a token
	}
	t, ok := r.tokens.Find(token)
	chain := presentedChain(req)
	switch {
	case !ok:
		return challenge.InvalidToken("The token is not one of this server's.")
	case t.PoP != strings.EqualFold(scheme, tokenPoP), (t.Key != "") != isDPoP(scheme):
		return challenge.InvalidToken("The token goes with another scheme.")
	case t.Bound != "" && (len(chain) == 0 || proof.Confirmation(chain[0]) != t.Bound): // RFC 8705 §3
		return challenge.InvalidToken("The token is bound to another certificate than the connection's.")
	case t.Key != "":
		if refused := r.checkPossession(req, token, t.Key); refused != nil {
			return refused
		}
	}
	switch {
	case t.Revoked:
		return challenge.InvalidToken("The token was revoked.")
	case !r.now().Before(t.Expires):
		return challenge.InvalidToken("The token has expired.")
	case !slices.Contains(t.Audiences, r.audience) && !slices.Contains(t.Scopes, r.audience):
		return challenge.InvalidToken("The token is for another audience.")
	case wanted.Claims != "" && !challenge.Covers(t.Claims, wanted.Claims):
		wanted.Origin = r.origin
		return &wanted
	}
	return nil
}

// checkPossession returns the challenge to refuse a DPoP proof with, or nil.
func (r *Resource) checkPossession(req *http.Request, token, key string) *challenge.Challenge {
	_, refused := r.proofs.Check(possession.Request{
		Header: req.Header, Method: req.Method, Target: requestOrigin(req) + req.URL.EscapedPath(),
		Token: token, Key: key, Now: r.now(),
	})
	if refused == nil {
		return nil
	}
	return &challenge.Challenge{Code: refused.Code, Description: refused.Description}
}

// takeRefusal counts a request down that is to be refused whatever it brings, and
// returns the challenge that tokens must answer.
func (r *Resource) takeRefusal() (wanted challenge.Challenge, refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refuse = r.refusing != 0
	if refuse {
		r.refusing = max(r.refusing-1, -1)
	}
	return r.challenge, refuse
}

// faultChallenge writes a fault's error as an API does.
func (r *Resource) faultChallenge(f *refusal.Refusal) *answer.Answer {
	c := &challenge.Challenge{Code: f.Err, Description: f.Description, Claims: f.Claims}
	if f.Claims != "" {
		c.Origin = r.origin
	}
	return c.Answer()
}

// authorization is the scheme and token of the Authorization header; the
// scheme's case doesn't matter (RFC 9110 §11.1).
func authorization(req *http.Request) (scheme, token string) {
	values := req.Header.Values("Authorization")
	if len(values) != 1 {
		return "", ""
	}
	scheme, token, _ = strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, tokenPoP) && !isDPoP(scheme) {
		return "", ""
	}
	return scheme, token
}

func (r *Resource) whoAmI(w http.ResponseWriter, req *http.Request) {
	_, token := authorization(req)
	t, _ := r.tokens.Find(token)
	who := map[string]any{
		"client_id": t.ClientID,
		"audience":  strings.Join(t.Audiences, " "),
		"scope":     strings.Join(t.Scopes, " "),
		"path":      req.URL.Path,
	}
	if t.User != "" {
		who["user"] = t.User
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer.Encode(who)) // the client may have left
}

// ExpireNonces makes the nonces stale that the API gave for DPoP proofs so far.
func (r *Resource) ExpireNonces() {
	if r.proofs != nil {
		r.proofs.ExpireNonces()
	}
}
