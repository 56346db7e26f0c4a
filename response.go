package certtoken

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	maxRetryAfter = 5 * time.Minute
	maxTokenLife  = 10 * 365 * 24 * time.Hour
	assumedLife   = time.Minute // of a token whose server doesn't say
)

// parseGrant reads a successful token response (RFC 6749 §5.1). Its errors
// never repeat the body.
func parseGrant(body []byte) (answer, error) {
	fields, err := parseObject(body)
	if err != nil {
		return answer{}, err
	}
	g := answer{
		access: text(fields, "access_token"),
		typ:    text(fields, "token_type"),
		scopes: scopeList(text(fields, "scope")),
	}
	if g.access == "" {
		return answer{}, errors.New("it has no access_token")
	}
	if !isVisibleASCII(g.access) {
		return answer{}, errors.New("its access_token has characters that no token may have")
	}
	if g.typ == "" || strings.EqualFold(g.typ, "bearer") {
		g.typ = "Bearer" // RFC 6749 §7.1: compared without case, sent as RFC 6750 §2.1 writes it
	}
	if !isVisibleASCII(g.typ) || len(g.typ) > maxShort {
		return answer{}, errors.New("its token_type is not a name")
	}
	if g.lifetime, err = tokenLife(fields); err != nil {
		return answer{}, err
	}
	g.refreshIn, _ = seconds(fields["refresh_in"])
	g.refresh, g.id = text(fields, "refresh_token"), text(fields, "id_token")
	g.extra = extraFields(fields)
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
	if err != nil || life <= 0 || life > maxTokenLife {
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

func isVisibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

var aadstsPattern = regexp.MustCompile(`AADSTS(\d{4,9})`)

// parseTokenError reads an error response (RFC 6749 §5.2), which may as well be
// a proxy's page. What the form was secret about is taken out of each text as it
// reads, not out of the body, where escapes hide it.
func parseTokenError(endpoint string, resp *http.Response, body []byte, form url.Values, correlationID string) *TokenError {
	e := &TokenError{
		StatusCode:    resp.StatusCode,
		CorrelationID: correlationID,
		endpoint:      endpointName(endpoint),
	}
	e.date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), e.date)
	if len(body) == 0 && e.Temporary() { // the status says it all
		return e
	}
	if len(body) == 0 {
		e.Description = "without a word; is it the token endpoint, and is there a proxy in between?"
		return e
	}
	fields, err := parseObject(body)
	if err != nil {
		e.Description = "the answer (" + contentType(resp) + ") is no OAuth error: " + err.Error() + "; is it the token endpoint, and is there a proxy in between?"
		return e
	}
	said := func(name string) string { return scrub(text(fields, name), form) }
	description := said("error_description")
	e.Code = shorten(said("error"))
	e.Description = redact(description, maxDescription)
	e.URI = redact(said("error_uri"), maxDescription)
	e.Suberror = shorten(said("suberror"))
	if claims := said("claims"); checkClaims(claims) == nil && !jwtShape.MatchString(claims) {
		e.Claims = claims
	}
	e.TraceID = shorten(said("trace_id"))
	if id := shorten(said("correlation_id")); id != "" {
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
