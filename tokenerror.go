package certtoken

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/advice"
	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/exchange"
)

// TokenError is the token endpoint's refusal: an OAuth error response (RFC 6749
// §5.2), another error that the server or a gateway wrote in a form of its own, or
// an HTTP status that grants no token. Branch on Code. Description, and with Entra
// ID AADSTS, are for people and logs first: Microsoft changes texts and numbers,
// and adds new ones, without notice.
//
// It holds no secret: the request's secrets, and whatever is shaped like a JWT, are
// removed from every text. Texts are cut at 1 KiB, and control characters are escaped.
// Error is one line that ends with Advice; Detail, and %+v after that line, have the rest.
type TokenError struct {
	StatusCode    int    // of the HTTP response
	Code          string // error, such as invalid_client
	Description   string // error_description
	URI           string // error_uri
	AADSTS        []int  // error_codes of Entra ID, most significant first
	Suberror      string // suberror
	Claims        string // claims to ask for, JSON
	TraceID       string // trace_id
	CorrelationID string // correlation_id, else the one that was sent
	Thumbprint    string // of the certificate or the key that signed, as in an [Event]; "": none did

	// RetryAfter is how long the server asked to wait: by its Retry-After (RFC 9110 §10.2.3),
	// or with a 429 by the end of its limit (X-Rate-Limit-Reset, X-RateLimit-Reset). In an
	// error that the Client remembered, it is how long the Client will still return it without
	// a request. 0 means that the server didn't say.
	RetryAfter time.Duration

	endpoint  string         // scheme, host and path of the token endpoint
	signedBy  string         // the certificate or the key that signed, in words for people
	printOf   string         // what Thumbprint is, in words
	date      time.Time      // the response's Date; zero if there was none
	isForeign bool           // it was no error of a form that is understood
	isPage    bool           // it was a page of HTML, as web filters send them
	refused   advice.Request // the kind of request that was refused, for the advice
}

// newTokenError makes the caller's error of a refusal. The event has the certificate that
// signed, if there was one.
func newTokenError(r *exchange.Refusal, event Event, refused advice.Request) *TokenError {
	e := &TokenError{
		StatusCode: r.StatusCode, Code: r.Code, Description: r.Description, URI: r.URI, AADSTS: r.AADSTS,
		Suberror: r.Suberror, Claims: r.Claims, TraceID: r.TraceID, CorrelationID: r.CorrelationID,
		RetryAfter: r.RetryAfter, endpoint: r.Endpoint, date: r.Date, isForeign: r.IsForeign, isPage: r.IsPage, refused: refused,
	}
	e.Thumbprint = event.Thumbprint
	switch {
	case event.KeyID != "":
		e.signedBy, e.printOf = fmt.Sprintf("key id %q", event.KeyID), "JWK thumbprint"
	case event.Thumbprint != "":
		e.signedBy, e.printOf = fmt.Sprintf("certificate %q, SHA-1 %s", event.Subject, event.ThumbprintSHA1), "SHA-256"
	}
	return e
}

// Advice is a sentence on what to do about the refusal, or "". It fits the grant
// and the proof of the request.
func (e *TokenError) Advice() string {
	for _, code := range e.AADSTS {
		if a, ok := advice.AADSTS[code]; ok {
			return a.For(e.refused)
		}
	}
	entry, known := advice.OAuth[e.Code]
	switch {
	case e.Code == "invalid_request" && e.namesAssertion(): // such as a kid that is missing
		return advice.OAuth["invalid_client"].For(e.refused)
	case known:
		return entry.For(e.refused)
	case e.StatusCode == 500 && e.Code != "" && len(e.AADSTS) == 0:
		return advice.Fault
	case e.Temporary():
		return advice.Later
	case e.isPage:
		return advice.Page
	case e.StatusCode == 401 || e.StatusCode == 403: // some servers refuse a client by the status alone
		return advice.OAuth["invalid_client"].For(e.refused)
	case (e.StatusCode == 404 || e.StatusCode == 405) && !e.isForeign: // else the description asks already
		return advice.Elsewhere
	}
	return ""
}

// namesAssertion reports whether the description is about the assertion that proves the
// client. Other assertions belong to a grant.
func (e *TokenError) namesAssertion() bool {
	text := strings.ToLower(e.Description)
	if strings.Contains(text, "client_assertion") || strings.Contains(text, "client assertion") {
		return true
	}
	isGrant := e.refused.ForUser || e.refused.Signed || e.refused.Exchange
	return !isGrant && (strings.Contains(text, "assertion") || strings.Contains(text, "jwt"))
}

// Temporary reports whether the same request may succeed later: it was throttled
// or the server had a fault.
func (e *TokenError) Temporary() bool {
	switch {
	case exchange.IsTemporary(e.StatusCode):
		return true
	case advice.OAuth[e.Code].Temporary:
		return true
	}
	return e.has(func(a advice.Entry) bool { return a.Temporary })
}

// refusesClient reports whether the server refused the client, and not what it asked for
// (RFC 6749 §5.2). Some servers say so by the status alone.
func (e *TokenError) refusesClient() bool {
	return e.Code == "invalid_client" || e.StatusCode == 401
}

// blamesCertificate reports whether another certificate may help. If the answer has codes
// of Entra ID that are known, they decide. Otherwise it may help whenever the server
// refused the client.
func (e *TokenError) blamesCertificate() bool {
	known := false
	for _, code := range e.AADSTS {
		entry, ok := advice.AADSTS[code]
		if entry.Certificate {
			return e.refusesClient()
		}
		known = known || ok
	}
	return !known && e.refusesClient()
}

// blamesAssertion reports whether another assertion from elsewhere may help.
func (e *TokenError) blamesAssertion() bool {
	return e.refusesClient() || e.has(func(a advice.Entry) bool { return a.Mismatch })
}

// mayBlameClock reports whether the assertion's times can be the cause of a refusal by a
// server that doesn't say what was wrong: one that refused the client (RFC 6749 §5.2),
// gave no code, or answered 500 because of the assertion, as some servers do. An assertion
// that the client signed as its grant is refused as a grant.
func (e *TokenError) mayBlameClock() bool {
	switch e.StatusCode {
	case 401:
		return true
	case 403:
		return e.Code == "" || e.Code == "invalid_client"
	case 500:
		return e.Code != "" && len(e.AADSTS) == 0
	}
	return e.Code == "invalid_client" || e.refused.Signed && e.Code == "invalid_grant"
}

// demandsNonce reports whether the server asks for a nonce in the DPoP proof (RFC 9449 §8).
func (e *TokenError) demandsNonce() bool { return e.Code == dpop.UseNonce }

// blamesClock reports whether Entra ID's code says that the assertion's times were wrong.
func (e *TokenError) blamesClock() bool {
	return slices.Contains(e.AADSTS, advice.Clock)
}

func (e *TokenError) has(what func(advice.Entry) bool) bool {
	for _, code := range e.AADSTS {
		if what(advice.AADSTS[code]) {
			return true
		}
	}
	return false
}

// remembered is e for a later caller. RetryAfter is the rest of the time.
func (e *TokenError) remembered(left time.Duration) *TokenError {
	again := *e
	again.RetryAfter = left
	return &again
}

// refusalMemory is how long a final refusal is remembered.
const refusalMemory = time.Second

// judge decides how long the cache remembers an error, and for which requests.
func judge(err error, k *cache.Key) cache.Verdict {
	var te *TokenError
	switch {
	case errors.As(err, &te) && te.Temporary():
		return cache.Verdict{Remember: te.RetryAfter, General: true, Pause: te.RetryAfter}
	case te != nil:
		// The server won't take the same assertion of a user later either.
		return cache.Verdict{
			Remember:  refusalMemory,
			Condition: te.Thumbprint,
			Hopeless:  k.User != "" && te.Code == "invalid_grant",
		}
	case errors.Is(err, ErrBadResponse):
		return cache.Verdict{Remember: refusalMemory}
	}
	return cache.Verdict{}
}

// rememberedError is an error for a later caller. RetryAfter is the rest of the time.
func rememberedError(err error, left time.Duration) error {
	var te *TokenError
	if errors.As(err, &te) {
		return te.remembered(left)
	}
	return err
}
