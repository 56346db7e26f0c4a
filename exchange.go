package certtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	maxBody        = 1 << 20
	maxRetryAfter  = 5 * time.Minute
	maxTokenLife   = 10 * 365 * 24 * time.Hour
	assumedLife    = time.Minute // of a token whose server doesn't say
	attemptLimit   = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// exchanger sends token requests.
type exchanger struct {
	http      *http.Client
	userAgent string
}

// newExchanger copies the user's client and lays our rules over it: a token
// request follows no redirect, which could carry the assertion elsewhere, and
// keeps no cookies.
func newExchanger(user *http.Client, userAgent string) *exchanger {
	client := http.Client{Transport: defaultTransport()}
	if user != nil {
		client = *user
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &exchanger{http: &client, userAgent: userAgent}
}

// defaultTransport is net/http's, with its proxies from the environment, and
// limits of our own.
func defaultTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if std, ok := http.DefaultTransport.(*http.Transport); ok { // some programs put another in its place
		t = std.Clone()
	}
	t.MaxResponseHeaderBytes = maxHeaderBytes
	t.MaxIdleConnsPerHost = 4
	return t
}

// clientCredentials is the form of a token request (RFC 6749 §4.4.2, RFC 7523 §2.2).
func clientCredentials(clientID string, scopes []string, claims, assertion string) url.Values {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_id":             {clientID},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion},
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if claims != "" {
		form.Set("claims", claims)
	}
	return form
}

// post sends one token request and reads the answer. Errors are a *TokenError,
// one that wraps ErrBadResponse, or a failed connection.
func (x *exchanger) post(ctx context.Context, endpoint string, form url.Values, correlationID string) (grant, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptLimit, errAttemptLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, fmt.Errorf("certtoken: token endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", x.userAgent)
	req.Header.Set("client-request-id", correlationID)
	req.Header.Set("return-client-request-id", "true")

	resp, err := x.http.Do(req)
	if err != nil {
		return grant{}, connectionError(ctx, endpoint, err)
	}
	defer resp.Body.Close()
	body, err := readLimited(resp.Body, maxBody)
	switch {
	case errors.Is(err, errTooLong) && resp.StatusCode >= 400:
		body = nil // the status and Retry-After still count
	case errors.Is(err, errTooLong):
		return grant{}, badResponse(endpoint, resp, fmt.Sprintf("it is larger than %d bytes", maxBody))
	case err != nil:
		return grant{}, connectionError(ctx, endpoint, err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		g, err := parseGrant(body)
		if err != nil {
			return grant{}, badResponse(endpoint, resp, err.Error())
		}
		return g, nil
	case resp.StatusCode/100 == 3:
		return grant{}, badResponse(endpoint, resp, "it redirects"+redirectHost(resp)+", which a token request doesn't follow")
	case resp.StatusCode/100 <= 2:
		return grant{}, badResponse(endpoint, resp, "a token comes with status 200")
	}
	return grant{}, parseTokenError(endpoint, resp, body, correlationID)
}

var (
	errTooLong      = errors.New("too long")
	errAttemptLimit = fmt.Errorf("no answer within %v: %w", attemptLimit, context.DeadlineExceeded)
)

// readLimited reads all of r, or reports errTooLong.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, errTooLong
	}
	return data, nil
}

// connectionError is a request without an answer. It names the endpoint without
// its query, and passes the cause on unless its text holds an assertion, as a
// user's RoundTripper could make it.
func connectionError(ctx context.Context, endpoint string, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	if jwtShape.MatchString(err.Error()) {
		err = errors.New(redact(err.Error(), maxDescription))
	}
	return &connectionFailure{endpoint: endpointName(endpoint), err: err}
}

// connectionFailure is a request that got no answer, or half of one.
type connectionFailure struct {
	endpoint string
	err      error
}

func (e *connectionFailure) Error() string { return "certtoken: " + e.endpoint + ": " + e.err.Error() }
func (e *connectionFailure) Unwrap() error { return e.err }

func badResponse(endpoint string, resp *http.Response, what string) error {
	return fmt.Errorf("certtoken: %s: %w (status %d, %s): %s; is it the token endpoint, and is there a proxy in between?",
		endpointName(endpoint), ErrBadResponse, resp.StatusCode, contentType(resp), what)
}

// endpointName is an endpoint for people: without query and user.
func endpointName(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "token endpoint"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func contentType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return "no content type"
	}
	return shorten(t)
}

func redirectHost(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return ""
	}
	return " to " + shorten(u.Host)
}

// parseGrant reads a successful token response (RFC 6749 §5.1). Its errors
// never repeat the body.
func parseGrant(body []byte) (grant, error) {
	fields, err := parseObject(body)
	if err != nil {
		return grant{}, err
	}
	g := grant{
		access: text(fields, "access_token"),
		typ:    text(fields, "token_type"),
		scopes: scopeList(text(fields, "scope")),
	}
	if g.access == "" {
		return grant{}, errors.New("it has no access_token")
	}
	if !isVisibleASCII(g.access) {
		return grant{}, errors.New("its access_token has characters that no token may have")
	}
	if g.typ == "" || strings.EqualFold(g.typ, "bearer") {
		g.typ = "Bearer" // RFC 6749 §7.1: compared without case, sent as RFC 6750 §2.1 writes it
	}
	if !isVisibleASCII(g.typ) || len(g.typ) > maxShort {
		return grant{}, errors.New("its token_type is not a name")
	}
	if g.lifetime, err = tokenLife(fields); err != nil {
		return grant{}, err
	}
	g.refreshIn, _ = seconds(fields["refresh_in"])
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
// a proxy's page.
func parseTokenError(endpoint string, resp *http.Response, body []byte, correlationID string) *TokenError {
	e := &TokenError{
		StatusCode:    resp.StatusCode,
		CorrelationID: correlationID,
		endpoint:      endpointName(endpoint),
	}
	e.date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), e.date)
	fields, err := parseObject(body)
	if err != nil {
		e.Description = "the answer (" + contentType(resp) + ") is no OAuth error: " + err.Error() + "; is it the token endpoint, and is there a proxy in between?"
		return e
	}
	description := text(fields, "error_description")
	e.Code = shorten(text(fields, "error"))
	e.Description = redact(description, maxDescription)
	e.URI = redact(text(fields, "error_uri"), maxDescription)
	e.Suberror = shorten(text(fields, "suberror"))
	if claims := text(fields, "claims"); checkClaims(claims) == nil && !jwtShape.MatchString(claims) {
		e.Claims = claims
	}
	e.TraceID = shorten(text(fields, "trace_id"))
	if id := shorten(text(fields, "correlation_id")); id != "" {
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
