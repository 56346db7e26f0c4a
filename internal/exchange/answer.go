package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

const (
	maxRetryAfter = 5 * time.Minute
	MaxLife       = 10 * 365 * 24 * time.Hour
	assumedLife   = time.Minute // of a token whose server doesn't say
)

// Answer is a token as the endpoint granted it, before any clock is looked at.
type Answer struct {
	Access    string
	Type      string
	Scopes    []string // nil: as asked
	Lifetime  time.Duration
	RefreshIn time.Duration // 0: not given
	Extra     string        // the other fields, a JSON object, or ""
	Refresh   string        // a refresh token, or ""
	ID        string        // an ID token, or ""
}

// Refusal is an OAuth error response, or a status that isn't 200.
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
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("certtoken: %s answered %d %s: %s", e.Endpoint, e.StatusCode, e.Code, e.Description)
}

// IsTemporary reports whether a status says that the same request may succeed
// later.
func IsTemporary(status int) bool { return status == 408 || status == 429 || status >= 500 }

// ParseAnswer reads a successful token response (RFC 6749 §5.1). Its errors
// never repeat the body.
func ParseAnswer(body []byte) (Answer, error) {
	fields, err := parseObject(body)
	if err != nil {
		return Answer{}, err
	}
	g := Answer{
		Access: text(fields, "access_token"),
		Type:   text(fields, "token_type"),
		Scopes: scopeList(text(fields, "scope")),
	}
	if g.Access == "" {
		return Answer{}, errors.New("it has no access_token")
	}
	if !syntax.IsVisible(g.Access) {
		return Answer{}, errors.New("its access_token has characters that no token may have")
	}
	if g.Type == "" || strings.EqualFold(g.Type, "bearer") {
		g.Type = "Bearer" // RFC 6749 §7.1: compared without case, sent as RFC 6750 §2.1 writes it
	}
	if !syntax.IsVisible(g.Type) || len(g.Type) > redact.MaxShort {
		return Answer{}, errors.New("its token_type is not a name")
	}
	if g.Lifetime, err = tokenLife(fields); err != nil {
		return Answer{}, err
	}
	g.RefreshIn, _ = seconds(fields["refresh_in"])
	g.Refresh, g.ID = text(fields, "refresh_token"), text(fields, "id_token")
	g.Extra = extraFields(fields)
	return g, nil
}

func parseObject(body []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if fields == nil {
		return nil, errors.New("it is null")
	}
	return fields, nil
}

// text is a string field; anything else counts as absent.
func text(fields map[string]json.RawMessage, name string) string {
	var s string
	if json.Unmarshal(fields[name], &s) != nil {
		return ""
	}
	return s
}

// scopeList splits a granted scope; a server that leaves it empty grants what
// was asked for.
func scopeList(scope string) []string {
	if list := strings.Fields(scope); len(list) > 0 {
		return list
	}
	return nil
}

// tokenLife reads expires_in. A token whose server doesn't say how long it
// lives is taken to live a minute: cached, so that not every call asks, and
// soon renewed.
func tokenLife(fields map[string]json.RawMessage) (time.Duration, error) {
	raw, ok := fields["expires_in"]
	if !ok || string(raw) == "null" {
		return assumedLife, nil
	}
	life, err := seconds(raw)
	if err != nil || life <= 0 || life > MaxLife {
		return 0, errors.New("its expires_in is not a sensible number of seconds")
	}
	return life, nil
}

// seconds reads a number of seconds, which some servers write as a string.
func seconds(raw json.RawMessage) (time.Duration, error) {
	s := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, err
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(n) || math.Abs(n) > float64(math.MaxInt64/int64(time.Second)) {
		return 0, strconv.ErrRange
	}
	return time.Duration(n * float64(time.Second)), nil
}

// extraFields keeps what Token.Extra answers: everything but the fields that
// have a place of their own and those that are secrets.
func extraFields(fields map[string]json.RawMessage) string {
	extra := make(map[string]json.RawMessage)
	for name, value := range fields {
		switch name {
		case "access_token", "refresh_token", "id_token", "token_type", "expires_in", "refresh_in", "scope":
		default:
			extra[name] = value
		}
	}
	if len(extra) == 0 {
		return ""
	}
	data, err := json.Marshal(extra)
	if err != nil {
		return ""
	}
	return string(data)
}

var aadstsPattern = regexp.MustCompile(`AADSTS(\d{4,9})`)

// ParseRefusal reads an error response (RFC 6749 §5.2), which may as well be
// a proxy's page. What the form was secret about is taken out of each text as it
// reads, not out of the body, where escapes hide it.
func ParseRefusal(endpoint string, resp *http.Response, body []byte, form url.Values, correlationID string) *Refusal {
	e := &Refusal{
		StatusCode:    resp.StatusCode,
		CorrelationID: correlationID,
		Endpoint:      syntax.EndpointName(endpoint),
	}
	e.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), e.Date)
	if len(body) == 0 && IsTemporary(e.StatusCode) { // the status says it all
		return e
	}
	if len(body) == 0 {
		e.Description = "without a word; is it the token endpoint, and is there a proxy in between?"
		return e
	}
	fields, err := parseObject(body)
	if err != nil {
		e.Description = "the Answer (" + ContentType(resp) + ") is no OAuth error: " + err.Error() + "; is it the token endpoint, and is there a proxy in between?"
		return e
	}
	said := func(name string) string { return redact.Form(text(fields, name), form) }
	description := said("error_description")
	e.Code = redact.Short(said("error"))
	e.Description = redact.Text(description, redact.MaxText)
	e.URI = redact.Text(said("error_uri"), redact.MaxText)
	e.Suberror = redact.Short(said("suberror"))
	if wanted := said("claims"); claims.Check(wanted) == nil && !redact.HoldsJWT(wanted) {
		e.Claims = wanted
	}
	e.TraceID = redact.Short(said("trace_id"))
	if id := redact.Short(said("correlation_id")); id != "" {
		e.CorrelationID = id
	}
	e.AADSTS = errorCodes(fields["error_codes"], description)
	return e
}

// errorCodes reads error_codes, or what the description names where a gateway
// has dropped them.
func errorCodes(raw json.RawMessage, description string) []int {
	const most = 16
	var codes []int
	if json.Unmarshal(raw, &codes) == nil && len(codes) > 0 {
		return codes[:min(len(codes), most)]
	}
	codes = nil
	for _, m := range aadstsPattern.FindAllStringSubmatch(description, most) {
		if n, err := strconv.Atoi(m[1]); err == nil {
			codes = append(codes, n)
		}
	}
	return codes
}

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds, or a date,
// which is held against the server's own clock. 0 means none.
func retryAfter(value string, date time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if isDigits(value) {
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil { // more than fits
			return maxRetryAfter
		}
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date.IsZero() {
		date = time.Now()
	}
	return min(max(0, at.Sub(date)), maxRetryAfter)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
