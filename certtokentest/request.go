package certtokentest

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// Request is a request to the token endpoint and what it was answered. It is
// a copy; the maps in it are only read. It holds the assertion and the token.
type Request struct {
	Time   time.Time // of arrival, on the machine's clock
	Method string
	URL    string // without query
	Path   string
	Host   string
	Header http.Header
	Form   url.Values // nil if the body was no form

	Tenant   string // of the path, "" for a generic server
	ClientID string // of the form; without one, what the assertion or the Authorization header says
	Scope    string // as asked for

	Assertion       string
	AssertionHeader map[string]any // unverified; nil if it can't be read
	AssertionClaims map[string]any // unverified; nil if it can't be read

	GrantHeader map[string]any // of the assertion of a JWT bearer grant; nil: none, or it can't be read
	GrantClaims map[string]any

	Certificate    *x509.Certificate // that proved the client, or nil
	TLSCertificate *x509.Certificate // that the client presented in the handshake, or nil

	Done        bool   // answered; the rest is set
	Status      int    // HTTP; 0 if the connection was broken instead
	Error       string // of an error answer, by RFC 6749 §5.2
	Code        int    // AADSTS; from a generic server, what Entra ID would say
	Description string
	AccessToken string // granted, or ""
	Fault       *Fault // that was told to happen, or nil
}

// fill takes what the form says, and returns the assertion in it.
func (r *Request) fill(form url.Values) *proof.Assertion {
	r.Form = form
	r.ClientID, r.Scope, r.Assertion = form.Get("client_id"), form.Get("scope"), form.Get("client_assertion")
	assertion := proof.Read(r.Assertion)
	r.AssertionHeader, r.AssertionClaims = assertion.Header, assertion.Claims
	if r.ClientID == "" { // RFC 7521 §4.2: client_id is optional
		r.ClientID = assertion.Subject()
	}
	return assertion
}
