// Package refusal is an error answer of the token endpoint: its AADSTS code, the
// OAuth error and HTTP status that Entra ID gives the code, and its body as Entra
// ID or as RFC 6749 §5.2 writes it. It never decides that something is refused.
package refusal

import (
	"cmp"
	"fmt"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
)

// Refusal is an error answer of the token endpoint.
type Refusal struct {
	Status      int    // HTTP
	Code        int    // AADSTS, 0 for none
	Err         string // RFC 6749 §5.2
	Description string // Entra ID's, without the AADSTS prefix
	Plain       string // of a server that isn't Entra ID; "": Description
	Suberror    string
	Claims      string
	Reason      Reason // for servers that have words of their own for it
}

// Reason is what a refusal is about, where a kind of server says it in words of its own.
type Reason int

// The reasons.
const (
	Other      Reason = iota
	UnknownKey        // the kid isn't one of the client's
	FarEnd            // exp is too far ahead
	Audience
	Signature
)

// Because says what the refusal is about.
func (r *Refusal) Because(reason Reason) *Refusal {
	r.Reason = reason
	return r
}

// New makes the refusal of an AADSTS code, with that code's error and status.
func New(code int, format string, args ...any) *Refusal {
	kind := kindOf(code)
	return &Refusal{Status: kind.status, Code: code, Err: kind.err, Description: fmt.Sprintf(format, args...)}
}

// Missing is the refusal of a request without a parameter that it needs.
func Missing(parameter string) *Refusal {
	return New(900144, "The request body must contain the following parameter: '%s'.", parameter)
}

// MissingClaim is the refusal of an assertion without a claim that it needs.
func MissingClaim(name string) *Refusal {
	return New(90014, "The required field '%s' is missing from the credential. "+
		"Ensure that you have all the necessary parameters for the login request.", name).
		Plainly("The assertion has no '%s'.", name)
}

// Plainly says the same for a server that isn't Entra ID.
func (r *Refusal) Plainly(format string, args ...any) *Refusal {
	r.Plain = fmt.Sprintf(format, args...)
	return r
}

// As gives the refusal another OAuth error and HTTP status.
func (r *Refusal) As(err string, status int) *Refusal {
	r.Err, r.Status = err, status
	return r
}

// entraError is the body that Entra ID answers an error with.
type entraError struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes,omitempty"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
	Suberror      string `json:"suberror,omitempty"`
	Claims        string `json:"claims,omitempty"`
}

// Entra answers as Entra ID does. The correlation id is the client's own, if it
// sent one.
func (r *Refusal) Entra(now time.Time, correlationID string) *answer.Answer {
	trace := ids.UUID()
	stamp := now.UTC().Format("2006-01-02 15:04:05Z")
	e := entraError{
		Error:         r.Err,
		Description:   r.Description,
		Timestamp:     stamp,
		TraceID:       trace,
		CorrelationID: cmp.Or(correlationID, ids.UUID()),
		Suberror:      r.Suberror,
		Claims:        r.Claims,
	}
	if r.Code != 0 {
		e.Codes = []int{r.Code}
		e.URI = fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", r.Code)
		e.Description = fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			r.Code, r.Description, trace, e.CorrelationID, stamp)
	}
	return answer.JSON(r.Status, e)
}

// OAuth answers by RFC 6749 §5.2.
func (r *Refusal) OAuth() *answer.Answer {
	body := map[string]any{"error": r.OAuthError(), "error_description": r.PlainText()}
	if r.Claims != "" {
		body["claims"] = r.Claims
	}
	return answer.JSON(r.Status, body)
}

// PlainText is the description for a server that isn't Entra ID.
func (r *Refusal) PlainText() string { return cmp.Or(r.Plain, r.Description) }

// OAuthError is the error in RFC 6749's own words, which lack one that only Entra
// ID answers.
func (r *Refusal) OAuthError() string {
	if r.Err == "invalid_resource" {
		return "invalid_scope"
	}
	return r.Err
}
