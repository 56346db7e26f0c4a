package certtokentest

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
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
	ClientID string // of the form; without one, what the assertion says
	Scope    string // as asked for

	Assertion       string
	AssertionHeader map[string]any // unverified; nil if it can't be read
	AssertionClaims map[string]any // unverified; nil if it can't be read

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

// fill takes what the form says.
func (r *Request) fill(form url.Values) {
	r.Form = form
	r.ClientID, r.Scope, r.Assertion = form.Get("client_id"), form.Get("scope"), form.Get("client_assertion")
	token, _, err := assertionParser.ParseUnverified(r.Assertion, jwt.MapClaims{})
	if token != nil {
		r.AssertionHeader = token.Header
	}
	if token == nil || err != nil {
		return
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	r.AssertionClaims = claims
	if sub, _ := claims["sub"].(string); r.ClientID == "" { // RFC 7521 §4.2: client_id is optional
		r.ClientID = sub
	}
}

// requestLog keeps the last requests and counts all.
type requestLog struct {
	limit int

	mu     sync.Mutex
	all    int // of every kind
	tokens int // to the token endpoint
	done   int // of these, granted
	first  int // number of kept[0]
	kept   []*Request
}

func (l *requestLog) count() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
}

// begin records a request on arrival, so that one that is being delayed counts.
func (l *requestLog) begin(r *Request) (number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == l.limit {
		l.kept[0] = nil
		l.kept = l.kept[1:]
		l.first++
	}
	l.tokens++
	arrived := *r
	l.kept = append(l.kept, &arrived)
	return l.first + len(l.kept) - 1
}

// finish adds how it was answered, unless it was dropped in between.
func (l *requestLog) finish(number int, r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.AccessToken != "" {
		l.done++
	}
	if i := number - l.first; i >= 0 && i < len(l.kept) {
		answered := *r
		answered.Done = true
		l.kept[i] = &answered
	}
}

// Requests returns the last requests to the token endpoint, oldest first, by
// default up to 1,000; see [WithRequestLimit].
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	list := make([]Request, len(s.log.kept))
	for i, r := range s.log.kept {
		list[i] = *r
	}
	return list
}

// LastRequest returns the last request to the token endpoint. Without any it
// is the zero Request, whose Done is false.
func (s *Server) LastRequest() Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if len(s.log.kept) == 0 {
		return Request{}
	}
	return *s.log.kept[len(s.log.kept)-1]
}

// Count is the number of requests that reached the token endpoint, those in
// progress and refused included.
func (s *Server) Count() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.tokens
}

// CountGranted is the number of tokens granted.
func (s *Server) CountGranted() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.done
}

// CountAll is the number of requests of every kind: to the token endpoint, for
// discovery and keys, to mounted handlers and to nothing.
func (s *Server) CountAll() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.all
}

// Reset forgets requests, counters, planned faults and which assertions were
// used. Clients and tokens remain.
func (s *Server) Reset() {
	s.log.reset()
	s.used.reset()
	s.ClearFaults()
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first += len(l.kept)
	l.kept, l.all, l.tokens, l.done = nil, 0, 0, 0
}
