package certtokentest

import (
	"net/http"
	"time"
)

// Fault is what goes wrong with one request. Its parts combine: a delay alone
// delays the answer that would come anyway; a code, an error, a body or a status
// replaces it, without the assertion being checked or used up; fields, a form and
// a shape change how it is written. The zero Fault changes nothing, which lets a
// queue hold good requests between bad ones.
//
// docs/testing.md lists what real servers do, and the fault for each.
type Fault struct {
	Code        int    // AADSTS code: answers as Entra ID does, with its error and status
	Error       string // RFC 6749 §5.2, in place of the code's own
	Description string // in place of a general one
	Suberror    string
	Claims      string // of a claims challenge
	Form        RefusalForm

	// Status is the HTTP status, in place of the one that would come. Alone, it
	// comes with an empty body; with Fields or Rewrite it keeps the answer.
	Status int

	// Body is sent as it is, in place of everything else, with status 200 or
	// Status. Its type is application/json if it is JSON, else what it looks like,
	// unless Header says another.
	Body string

	Fields  map[string]any              // set in the JSON object that is answered; nil removes a field
	Rewrite func(fields map[string]any) // changes the JSON object, after Fields; numbers are json.Number

	RetryAfter time.Duration // sent as seconds, rounded up; 0 sends none
	RetryDate  bool          // send RetryAfter as an HTTP date instead

	Delay     time.Duration // before the header
	BodyDelay time.Duration // between header and body
	Drip      time.Duration // before each byte of the body

	// IgnoreContext goes on with the delays after the context of the request has
	// ended, as a RoundTripper does that hangs. Without a socket only: over a
	// connection the client's transport gives up by itself.
	IgnoreContext bool

	Shape    Shape
	Location string      // of Redirect
	Header   http.Header // added to the answer's own, in its place; no values remove a header
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
	FormEncoded            // application/x-www-form-urlencoded instead of JSON, as GitHub answers
	Gzipped                // compressed, whether the client asked for it or not
	ByteOrderMark          // U+FEFF before the JSON, as some .NET servers write it
	LostAnswer             // the request is carried out, and the connection is reset before the answer
)

// Throttle is the fault of a server that asks for a pause: AADSTS90055 with
// status 429 and Retry-After.
func Throttle(pause time.Duration) Fault { return Fault{Code: 90055, RetryAfter: pause} }
