package certtokentest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault is what goes wrong with one request to the token endpoint. Its parts
// combine: a delay alone delays the answer that would come anyway; a code, an
// error or a status replaces it by an error, without the assertion being
// checked or used up; a shape changes how it is sent. The zero Fault changes
// nothing, which lets a queue hold good requests between bad ones.
type Fault struct {
	Code        int    // AADSTS code: answers as Entra ID does, with its error and status
	Error       string // RFC 6749 §5.2, in place of the code's own
	Description string // in place of a general one
	Suberror    string
	Claims      string // of a claims challenge
	Status      int    // HTTP status, in place of the code's own; alone, it comes with an empty body

	RetryAfter time.Duration // sent as seconds, rounded up; 0 sends none
	RetryDate  bool          // send RetryAfter as an HTTP date instead

	Delay     time.Duration // before the header
	BodyDelay time.Duration // between header and body

	Shape    Shape
	Location string      // of Redirect
	Header   http.Header // added to the answer's own
}

// Shape is a form of answer that a client should survive.
type Shape int

// The shapes. Those up to GzipBomb replace the answer without the assertion
// being checked; the others change the answer that would come anyway.
const (
	Normal           Shape = iota
	ResetConnection        // the connection is reset before any answer
	EmptyBody              // 200 (or Status) and nothing
	HTML                   // 200 (or Status) and a web page, as proxies send
	NotJSON                // 200 (or Status), JSON by its content type, and broken
	Redirect               // 307 (or Status) to Location
	EndlessBody            // a body without end
	GzipBomb               // a few kilobytes that unpack to 10 GiB
	TruncatedBody          // the connection breaks in the middle of the body
	OversizedBody          // 5 MiB of otherwise valid JSON
	WrongContentType       // text/plain
	NoToken                // without access_token
	NoExpiry               // without expires_in
	NegativeExpiry         // expires_in -1
	AbsurdExpiry           // expires_in 10^18
)

// Throttle is the fault of a server that asks for a pause: AADSTS90055 with
// status 429 and Retry-After.
func Throttle(pause time.Duration) Fault { return Fault{Code: 90055, RetryAfter: pause} }

// Fail plans faults for the next requests to the token endpoint, one each, in
// this order, after those that are planned already.
func (s *Server) Fail(faults ...Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = append(s.faults.queue, faults...)
}

// FailAlways plans a fault for every request that no planned one is for, until
// [Server.ClearFaults].
func (s *Server) FailAlways(fault Fault) {
	s.FailFunc(func(*Request) *Fault { return &fault })
}

// FailFunc lets a function decide about every request that no planned fault is
// for; nil means none. The function is called from many goroutines, sees the
// request before it is checked, and must not change it. A nil function decides
// nothing any more.
func (s *Server) FailFunc(decide func(*Request) *Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.decide = decide
}

// ClearFaults forgets everything that was planned.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue, s.faults.decide = nil, nil
}

type faultPlan struct {
	mu     sync.Mutex
	queue  []Fault
	decide func(*Request) *Fault
}

func (p *faultPlan) next(r *Request) *Fault {
	p.mu.Lock()
	if len(p.queue) > 0 {
		fault := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		return &fault
	}
	decide := p.decide
	p.mu.Unlock()
	if decide == nil {
		return nil
	}
	return decide(r) // unlocked: it may take its time
}

// instead is the answer that takes the endpoint's place, or nil.
func (f *Fault) instead(c *call) *answer {
	if f == nil {
		return nil
	}
	switch f.Shape {
	case ResetConnection:
		return &answer{ending: endReset}
	case EmptyBody:
		return f.bare("application/json", nil)
	case HTML:
		return f.bare("text/html; charset=utf-8", []byte("<!DOCTYPE html>\n<html><head><title>Sign in to the proxy</title></head><body><h1>Proxy</h1></body></html>\n"))
	case NotJSON:
		return f.bare("application/json; charset=utf-8", []byte(`{"token_type":"Bearer","expires_in":3599,`))
	case Redirect:
		a := f.bare("", nil)
		a.status = cmpOr(f.Status, http.StatusTemporaryRedirect)
		a.header.Set("Location", f.Location)
		return a
	case EndlessBody:
		a := f.bare("application/json; charset=utf-8", bytes.Repeat([]byte(" "), 32<<10))
		a.ending = endRepeats
		return a
	case GzipBomb:
		a := f.bare("application/json; charset=utf-8", gzipBomb())
		a.header.Set("Content-Encoding", "gzip")
		return a
	}
	return f.refusal(c)
}

// refusal is the error that the fault asks for, or nil.
func (f *Fault) refusal(c *call) *answer {
	if f.Code == 0 && f.Error == "" {
		if f.Status == 0 {
			return nil
		}
		return f.bare("", nil)
	}
	refused := refuse(f.Code, "%s", cmpOr(f.Description, "The server was told to refuse this request."))
	if f.Code == 0 {
		refused.status = http.StatusBadRequest
	}
	refused.err = cmpOr(f.Error, refused.err)
	refused.status = cmpOr(f.Status, refused.status)
	refused.suberror, refused.claims = f.Suberror, f.Claims
	return c.refused(refused)
}

func cmpOr[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (f *Fault) bare(contentType string, body []byte) *answer {
	a := &answer{status: cmpOr(f.Status, http.StatusOK), header: make(http.Header), body: body}
	if contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
	return a
}

// bend changes the fields of a granted token.
func (f *Fault) bend(body map[string]any) {
	if f == nil {
		return
	}
	switch f.Shape {
	case NoToken:
		delete(body, "access_token")
	case NoExpiry:
		delete(body, "expires_in")
		delete(body, "ext_expires_in")
	case NegativeExpiry:
		body["expires_in"] = -1
	case AbsurdExpiry:
		body["expires_in"] = int64(1e18)
	case OversizedBody:
		body["padding"] = string(bytes.Repeat([]byte("x"), 5<<20))
	}
}

// shape adds times, headers and the ending to whatever is answered.
func (f *Fault) shape(a *answer) {
	if f == nil {
		return
	}
	a.delay, a.bodyDelay = f.Delay, f.BodyDelay
	switch f.Shape {
	case TruncatedBody:
		a.ending = endCut
	case WrongContentType:
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", f.retryAfter(a.header.Get("Date")))
	}
	for name, values := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// retryAfter is in either form of RFC 9110 §10.2.3; the date is by the server's
// clock.
func (f *Fault) retryAfter(date string) string {
	seconds := (f.RetryAfter + time.Second - 1) / time.Second
	now, err := http.ParseTime(date)
	if !f.RetryDate || err != nil {
		return strconv.Itoa(int(seconds))
	}
	return now.Add(seconds * time.Second).UTC().Format(http.TimeFormat)
}

// gzipBomb is 1,024 gzip members of 10 MiB each, which a reader takes for one
// stream.
var gzipBomb = sync.OnceValue(func() []byte {
	var member bytes.Buffer
	w, err := gzip.NewWriterLevel(&member, gzip.BestCompression)
	if err != nil {
		panic(err) // a constant level
	}
	zeros := make([]byte, 64<<10)
	for range 160 {
		_, _ = w.Write(zeros) // into memory
	}
	_ = w.Close()
	return bytes.Repeat(member.Bytes(), 1024)
})
