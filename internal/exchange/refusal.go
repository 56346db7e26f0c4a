package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Refusal is an OAuth error response, or a status that doesn't grant a token.
type Refusal struct {
	StatusCode    int
	Code          string
	Description   string
	URI           string
	AADSTS        []int
	Suberror      string
	Claims        string
	TraceID       string
	CorrelationID string
	RetryAfter    time.Duration
	Endpoint      string    // scheme, host and path
	Date          time.Time // the response's; zero: none
	IsForeign     bool      // it says nothing that is understood, and Description asks what answered
	IsPage        bool      // it is a page of HTML, as web filters and proxies make them
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", e.Endpoint, e.StatusCode, e.Code, e.Description)
}

// IsTemporary reports whether a status says that the same request may succeed
// later.
func IsTemporary(status int) bool { return status == 408 || status == 429 || status >= 500 }

// isItTheEndpoint ends what is told of an answer that no token endpoint gives.
const isItTheEndpoint = "; is it the token endpoint, and is there a proxy in between?"

// readRefusal reads an error response (RFC 6749 §5.2), in whatever form the
// server, a gateway or a filter before it wrote it. Each text is scrubbed as it
// reads, and not in the body, where escapes may hide a secret.
func readRefusal(r *Request, resp *http.Response, body []byte) *Refusal {
	e := &Refusal{
		StatusCode:    resp.StatusCode,
		CorrelationID: r.CorrelationID,
		Endpoint:      syntax.EndpointName(r.Endpoint),
	}
	e.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.RetryAfter = pauseAsked(resp, e.Date)
	body = bytes.TrimSpace(withoutBOM(body))
	var found problem
	f, err := readFields(resp, body)
	switch {
	case err == nil:
		found = f.problem()
		e.readOAuth(r, f)
	case json.Valid(body):
		found = problemOf(body)
	}
	challenged := challengeProblem(challenges(resp))
	if found.code == "" {
		found.code = challenged.code
	}
	if found.description == "" {
		found.description = challenged.description
	}
	e.Code = r.secrets().Short(found.code)
	e.Description = r.secrets().Text(found.description, redact.MaxText)
	e.AADSTS = errorCodes(f["error_codes"], found.description)
	if found.isNothing() {
		e.describe(r, resp, body)
	}
	return e
}

// readOAuth reads the fields that only an OAuth server has.
func (e *Refusal) readOAuth(r *Request, f fields) {
	secrets := r.secrets()
	e.URI = secrets.Text(f.text("error_uri"), redact.MaxText)
	e.Suberror = secrets.Short(f.text("suberror"))
	if wanted := f.text("claims"); wanted != "" && claims.Check(wanted) == nil && !secrets.Holds(wanted) {
		e.Claims = wanted
	}
	e.TraceID = secrets.Short(f.text("trace_id"))
	if id := secrets.Short(f.text("correlation_id")); id != "" {
		e.CorrelationID = id
	}
}

// describe says what came in the place of an error.
func (e *Refusal) describe(r *Request, resp *http.Response, body []byte) {
	challenge := strings.Join(challenges(resp), ", ")
	if challenge != "" {
		challenge = "WWW-Authenticate: " + r.secrets().Text(challenge, maxQuote)
	}
	p := page(body)
	e.IsForeign, e.IsPage = true, p.isHTML
	kind := "the answer (" + contentType(resp, r.secrets()) + ") is no OAuth error"
	switch {
	case len(body) == 0 && challenge != "":
		e.Description = "nothing but " + challenge
	case len(body) == 0 && IsTemporary(e.StatusCode): // the status says it all
	case len(body) == 0:
		e.Description = "without a word" + isItTheEndpoint
	case p.isHTML:
		e.Description = kind + p.quoted(r) + isItTheEndpoint
	case json.Valid(body): // an object of an unknown form, which may hold anything
		e.Description = kind + isItTheEndpoint
	default:
		e.Description = kind + ": " + quote(r, p.text) + isItTheEndpoint
		e.AADSTS = errorCodes(nil, p.text)
	}
}

// challenges are the first lines of a response's WWW-Authenticate, each cut.
func challenges(resp *http.Response) []string {
	lines := resp.Header.Values("WWW-Authenticate")
	lines = slices.Clone(lines[:min(len(lines), maxChallenges)])
	for i, line := range lines {
		lines[i] = line[:min(len(line), maxChallenge)]
	}
	return lines
}

// challengeProblem reads the error that a WWW-Authenticate header tells (RFC 6750
// §3): some servers send it and no body.
func challengeProblem(lines []string) problem {
	var p problem
	for _, value := range lines {
		for _, m := range challengePattern().FindAllStringSubmatch(value, maxChallengeParams) {
			value := m[2]
			if strings.HasPrefix(value, `"`) {
				value = escapedChar().ReplaceAllString(strings.Trim(value, `"`), "$1")
			}
			switch name := strings.ToLower(m[1]); {
			case name == "error" && p.code == "":
				p.code = value
			case name == "error_description":
				p.say(value)
			}
		}
	}
	return p
}

const (
	maxChallenges      = 16      // lines of the header
	maxChallenge       = 4 << 10 // bytes of a line
	maxChallengeParams = 32      // of a line
)

var (
	challengePattern = lazyregexp.New(`([A-Za-z_]+)\s*=\s*("(?:\\.|[^"\\])*"|[^\s,"]+)`)
	escapedChar      = lazyregexp.New(`\\(.)`)
	aadstsPattern    = lazyregexp.New(`AADSTS(\d{4,9})`)
)

// errorCodes reads error_codes, or what the description names where a gateway
// has dropped them.
func errorCodes(raw json.RawMessage, description string) []int {
	const most = 16
	var codes []int
	if json.Unmarshal(raw, &codes) == nil && len(codes) > 0 {
		return codes[:min(len(codes), most)]
	}
	codes = nil
	for _, m := range aadstsPattern().FindAllStringSubmatch(description, most) {
		if n, err := strconv.Atoi(m[1]); err == nil {
			codes = append(codes, n)
		}
	}
	return codes
}
