package certtoken

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/advice"
	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/exchange"
)

// TokenError is the token endpoint's refusal: an OAuth error response (RFC 6749
// §5.2), another error that the server or a gateway wrote in a form of its own, or
// an HTTP status that grants no token. Branch on Code. Description, and with Entra
// ID AADSTS, are for people and logs first: Microsoft changes texts and numbers,
// and adds new ones, without notice.
//
// It holds no secret: every text is scrubbed of what the request was secret about
// and of anything shaped like a JWT, is cut at 1 KiB, and has its control
// characters escaped. What Error prints ends with Advice.
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
	Thumbprint    string // SHA-256 of the certificate that signed, lower-case hex; "": none did

	// RetryAfter is how long the server asked to wait, or, in an error that was
	// remembered, how long it will still be given without asking. 0 is unknown.
	RetryAfter time.Duration

	endpoint    string         // scheme, host and path of the token endpoint
	certificate string         // that signed, for people
	date        time.Time      // the response's Date; zero if there was none
	isPage      bool           // it was a page of HTML, as web filters make them
	refused     advice.Request // what the advice must fit
}

// newTokenError is the error that a refusal is for the caller. The event tells of
// the certificate that signed, if one did.
func newTokenError(r *exchange.Refusal, event Event, refused advice.Request) *TokenError {
	e := &TokenError{
		StatusCode: r.StatusCode, Code: r.Code, Description: r.Description, URI: r.URI, AADSTS: r.AADSTS,
		Suberror: r.Suberror, Claims: r.Claims, TraceID: r.TraceID, CorrelationID: r.CorrelationID,
		RetryAfter: r.RetryAfter, endpoint: r.Endpoint, date: r.Date, isPage: r.IsPage, refused: refused,
	}
	if event.Subject != "" {
		e.Thumbprint = event.Thumbprint
		e.certificate = fmt.Sprintf("%q, SHA-1 %s, SHA-256 %s", event.Subject, event.ThumbprintSHA1, event.Thumbprint)
	}
	return e
}

// Error describes the refusal in one line and says what to do about it.
func (e *TokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s answered %d", prefix, e.endpoint, e.StatusCode)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", e.Description)
	}
	if e.CorrelationID != "" && !strings.Contains(e.Description, e.CorrelationID) {
		fmt.Fprintf(&b, " (correlation id %s)", e.CorrelationID)
	}
	if e.certificate != "" {
		fmt.Fprintf(&b, " (certificate %s)", e.certificate)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; asked again in %v at the earliest", e.RetryAfter.Round(time.Millisecond))
	}
	if what := e.Advice(); what != "" {
		fmt.Fprintf(&b, "; %s", what)
	}
	return b.String()
}

// Advice is a sentence on what to do about the refusal, or "". It fits the grant
// and the proof of the request.
func (e *TokenError) Advice() string {
	for _, code := range e.AADSTS {
		if a, ok := advice.AADSTS[code]; ok {
			return a.For(e.refused)
		}
	}
	switch {
	case e.Code != "":
		return advice.OAuth[e.Code].For(e.refused)
	case e.Temporary():
		return advice.Later
	case e.isPage:
		return advice.Page
	case e.StatusCode == 401 || e.StatusCode == 403: // some servers refuse a client by the status alone
		return advice.OAuth["invalid_client"].For(e.refused)
	}
	return ""
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

// refusesClient reports whether the server refused who asks, and not what is asked
// for (RFC 6749 §5.2). Some servers say so by the status alone.
func (e *TokenError) refusesClient() bool {
	return e.Code == "invalid_client" || e.StatusCode == 401
}

// blamesCertificate reports whether another certificate may help. Where the server
// gives reasons that are known, they say so; others are taken at their word.
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

// mayBlameClock reports whether the assertion's times can be why a server refused
// that doesn't say what was wrong: it refused the client (RFC 6749 §5.2), or didn't
// say anything, or failed over the assertion.
func (e *TokenError) mayBlameClock() bool {
	switch e.StatusCode {
	case 401:
		return true
	case 403:
		return e.Code == "" || e.Code == "invalid_client"
	case 500:
		return e.Code != "" && len(e.AADSTS) == 0
	}
	return e.Code == "invalid_client"
}

// blamesClock reports whether the assertion's times were refused.
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

// remembered is e as given to a later caller: RetryAfter is what is left.
func (e *TokenError) remembered(left time.Duration) *TokenError {
	again := *e
	again.RetryAfter = left
	return &again
}

// refusalMemory is how long a final refusal is remembered.
const refusalMemory = time.Second

// judge tells a cache what is to be remembered of an error.
func judge(err error, k *cache.Key) cache.Verdict {
	var te *TokenError
	switch {
	case errors.As(err, &te) && te.Temporary():
		return cache.Verdict{Remember: te.RetryAfter, General: true, Pause: te.RetryAfter}
	case te != nil:
		// The same assertion of a user won't do better.
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

// rememberedError is an error as a later caller is given it: RetryAfter is what is left.
func rememberedError(err error, left time.Duration) error {
	var te *TokenError
	if errors.As(err, &te) {
		return te.remembered(left)
	}
	return err
}
