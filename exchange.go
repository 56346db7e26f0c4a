package certtoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	maxBody        = 1 << 20
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
	client := ownClient(user)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &exchanger{http: client, userAgent: userAgent}
}

// ownClient copies the user's client, without its cookies, or makes one.
func ownClient(user *http.Client) *http.Client {
	client := http.Client{Transport: defaultTransport()}
	if user != nil {
		client = *user
	}
	client.Jar = nil
	return &client
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

// form is that of a token request: what the grant shows, and who asks (RFC 6749
// §4, RFC 7523 §2.2).
func (r *requestRun) form(p proof) url.Values {
	form := maps.Clone(r.grant.form)
	form.Set("client_id", r.client.id)
	if p.assertion != "" {
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", p.assertion)
	}
	if r.authority.pop {
		form.Set("token_type", typeMTLSPoP)
	}
	if len(r.key.scopes) > 0 {
		form.Set("scope", strings.Join(r.key.scopes, " "))
	}
	if r.claims != "" {
		form.Set("claims", r.claims)
	}
	for name, values := range r.authority.params {
		form[name] = values
	}
	return form
}

// post sends one token request and reads the answer. Errors are a *TokenError,
// one that wraps ErrBadResponse, or a failed connection. It goes over the
// connections of a binding where there is one.
func (x *exchanger) post(ctx context.Context, over *binding, endpoint string, form url.Values, correlationID string) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptLimit, errAttemptLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("certtoken: token endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", x.userAgent)
	req.Header.Set("client-request-id", correlationID)
	req.Header.Set("return-client-request-id", "true")

	client := x.http
	if over != nil {
		client = over.http
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, connectionError(ctx, endpoint, form, err)
	}
	defer resp.Body.Close()
	body, err := readLimited(resp.Body, maxBody)
	switch {
	case errors.Is(err, errTooLong) && resp.StatusCode >= 400:
		body = nil // the status and Retry-After still count
	case errors.Is(err, errTooLong):
		return answer{}, badResponse(endpoint, resp, fmt.Sprintf("it is larger than %d bytes", maxBody))
	case err != nil:
		return answer{}, connectionError(ctx, endpoint, form, err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		g, err := parseGrant(body)
		if err != nil {
			return answer{}, badResponse(endpoint, resp, err.Error())
		}
		return g, nil
	case resp.StatusCode/100 == 3:
		return answer{}, badResponse(endpoint, resp, "it redirects"+redirectHost(resp)+", which a token request doesn't follow")
	case resp.StatusCode/100 <= 2:
		return answer{}, badResponse(endpoint, resp, "a token comes with status 200")
	}
	return answer{}, parseTokenError(endpoint, resp, body, form, correlationID)
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
// its query, and passes the cause on unless its text holds a secret, as a user's
// RoundTripper could make it.
func connectionError(ctx context.Context, endpoint string, form url.Values, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	if text := scrub(err.Error(), form); text != err.Error() || jwtShape.MatchString(text) {
		err = errors.New(redact(text, maxDescription))
	}
	return &connectionFailure{endpoint: endpointName(endpoint), err: err}
}

// connectionFailure is a request that got no answer, or half of one.
type connectionFailure struct {
	endpoint string
	err      error
}

func (e *connectionFailure) Error() string {
	return "certtoken: " + e.endpoint + ": " + foreignError{e.err}.Error()
}
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
