// Package exchange sends a form to a token endpoint and reads what it answers: a
// token (RFC 6749 §5.1), a refusal (§5.2), or something that is neither. It is
// liberal in what it reads. It never knows a certificate, a cache, a clock of
// ours, or whether a request is repeated.
//
//	exchange.go    one request, from the form to what it came to
//	client.go      the http.Client that requests are sent with
//	request.go     what is asked, and what is secret about it
//	answer.go      a granted token
//	issued.go      what a token exchange issued, which may be no access token
//	lifetime.go    how long the token lives
//	refusal.go     what a server that refuses says, in whatever form it says it
//	problem.go     the same in JSON
//	page.go        the same in HTML and plain text
//	fields.go      a body as named fields
//	body.go        bodies of a bounded size
//	retryafter.go  how long to wait
//	failure.go     a request without an answer
//	unusable.go    an answer that is neither a token nor a refusal
package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certtoken/certtoken/internal/connections"
)

// AttemptLimit bounds one request, unless the client has another limit.
const AttemptLimit = 10 * time.Second

// ErrAttemptLimit is the cause of a context that ended for AttemptLimit.
var ErrAttemptLimit error = limitError(AttemptLimit)

// limitError is the end of an attempt's time. Its text is made when it is asked for.
type limitError time.Duration

func (e limitError) Error() string {
	return fmt.Sprintf("no answer within %v: %v", time.Duration(e), context.DeadlineExceeded)
}

func (limitError) Unwrap() error { return context.DeadlineExceeded }

// Post sends one token request and reads the answer. Errors are a [*Refusal] or an
// [*Unusable], or wrap a [*Failure].
func (c *Client) Post(ctx context.Context, r *Request) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, limitError(c.limit))
	defer cancel()
	req, err := r.build(ctx, c.userAgent)
	if err != nil {
		return Answer{}, r.failed(ctx, err)
	}
	over := c.HTTP
	if r.HTTP != nil {
		over = r.HTTP
	}
	ctx, end := connections.Begin(ctx, over.Transport, req.URL)
	defer end()
	req = req.WithContext(ctx)
	resp, err := over.Do(req)
	if err != nil {
		return Answer{}, connections.Explain(over.Transport, req.URL, r.failed(ctx, err))
	}
	defer resp.Body.Close()
	if r.Answered != nil {
		r.Answered(resp.Header)
	}
	body, err := readBody(resp)
	switch {
	case (errors.Is(err, ErrTooLong) || errors.Is(err, errEncoding)) && resp.StatusCode >= 400:
		body = nil // the status and Retry-After still count
	case errors.Is(err, ErrTooLong), errors.Is(err, errEncoding):
		return Answer{}, r.unusable(resp, err.Error())
	case err != nil:
		return Answer{}, connections.ExplainBody(over.Transport, req.URL, r.failed(ctx, err))
	}
	return Read(r, resp, body)
}

// Read reads a response, whose body was read before. Errors are a [*Refusal] or an
// [*Unusable].
func Read(r *Request, resp *http.Response, body []byte) (Answer, error) {
	switch {
	case resp.StatusCode/100 == 3:
		return Answer{}, r.unusable(resp, "it redirects"+redirectTarget(r, resp)+", which a token request doesn't follow")
	case resp.StatusCode < 200:
		return Answer{}, r.unusable(resp, "a token comes with status 200")
	case resp.StatusCode > 299:
		return Answer{}, readRefusal(r, resp, body)
	}
	// What grants a token is the body. Some servers answer 201, and some refuse
	// with status 200.
	f, err := readFields(resp, body)
	if err != nil {
		return Answer{}, r.unusable(resp, err.Error()+page(body).quoted(r))
	}
	if f.refuses() {
		return Answer{}, readRefusal(r, resp, body)
	}
	return readAnswer(r, resp, f)
}
