// Package exchange sends a form to a token endpoint and reads what it answers: a
// token (RFC 6749 §5.1), a refusal (§5.2), or something that is neither.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

const (
	// MaxBody is as much as is read of an answer.
	MaxBody = 1 << 20

	// AttemptLimit bounds one request.
	AttemptLimit = 10 * time.Second
)

// Client sends token requests.
type Client struct {
	HTTP      *http.Client
	userAgent string
	limit     time.Duration // for one attempt
}

// New sends token requests by a client, each of at most limit, and lays our rule over
// it: a token request follows no redirect, which could carry the assertion elsewhere.
func New(client *http.Client, userAgent string, limit time.Duration) *Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{HTTP: client, userAgent: userAgent, limit: limit}
}

// Post sends one token request and reads the answer. Errors are a [*Refusal], one
// that wraps [ErrBadResponse], or a [*Failure]. over, where it isn't nil, is used in
// place of the client's own connections.
func (x *Client) Post(ctx context.Context, over *http.Client, endpoint string, form url.Values, correlationID string) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, x.limit, limitError(x.limit))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, fmt.Errorf("certtoken: token endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", x.userAgent)
	req.Header.Set("client-request-id", correlationID)
	req.Header.Set("return-client-request-id", "true")

	client := x.HTTP
	if over != nil {
		client = over
	}
	failed := func(err error) error {
		return connections.Explain(client.Transport, req.URL, connectionError(ctx, endpoint, form, err))
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, failed(err)
	}
	defer resp.Body.Close()
	body, err := ReadAll(resp.Body, MaxBody)
	switch {
	case errors.Is(err, ErrTooLong) && resp.StatusCode >= 400:
		body = nil // the status and Retry-After still count
	case errors.Is(err, ErrTooLong):
		return Answer{}, badResponse(endpoint, resp, fmt.Sprintf("it is larger than %d bytes", MaxBody))
	case err != nil:
		return Answer{}, failed(err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		g, err := ParseAnswer(body)
		if err != nil {
			return Answer{}, badResponse(endpoint, resp, err.Error())
		}
		return g, nil
	case resp.StatusCode/100 == 3:
		return Answer{}, badResponse(endpoint, resp, "it redirects"+redirectHost(resp)+", which a token request doesn't follow")
	case resp.StatusCode/100 <= 2:
		return Answer{}, badResponse(endpoint, resp, "a token comes with status 200")
	}
	return Answer{}, ParseRefusal(endpoint, resp, body, form, correlationID)
}

var (
	// ErrBadResponse is an answer that is neither a token nor an OAuth error.
	ErrBadResponse = errors.New("unusable answer from the token endpoint")

	ErrTooLong      = errors.New("too long")
	ErrAttemptLimit = limitError(AttemptLimit)
)

func limitError(limit time.Duration) error {
	return fmt.Errorf("no answer within %v: %w", limit, context.DeadlineExceeded)
}

// ReadAll reads all of r, or reports ErrTooLong.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, ErrTooLong
	}
	return data, nil
}

// connectionError is a request without an Answer. It names the endpoint without
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
	if text := redact.Form(err.Error(), form); text != err.Error() || redact.HoldsJWT(text) {
		err = errors.New(redact.Text(text, redact.MaxText))
	}
	return &Failure{endpoint: syntax.EndpointName(endpoint), err: err}
}

// Failure is a request that got no Answer, or half of one.
type Failure struct {
	endpoint string
	err      error
}

func (e *Failure) Error() string {
	return "certtoken: " + e.endpoint + ": " + redact.Error(e.err).Error()
}
func (e *Failure) Unwrap() error { return e.err }

func badResponse(endpoint string, resp *http.Response, what string) error {
	return fmt.Errorf("certtoken: %s: %w (status %d, %s): %s; is it the token endpoint, and is there a proxy in between?",
		syntax.EndpointName(endpoint), ErrBadResponse, resp.StatusCode, ContentType(resp), what)
}

// ContentType is a response's, for people.
func ContentType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return "no content type"
	}
	return redact.Short(t)
}

func redirectHost(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return ""
	}
	return " to " + redact.Short(u.Host)
}
