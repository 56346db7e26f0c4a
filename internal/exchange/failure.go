package exchange

import (
	"context"
	"errors"
	"net/url"

	"github.com/certtoken/certtoken/internal/syntax"
)

// Failure is a request that got no answer, or half of one. Its text names the
// endpoint without its query, and says of the cause what is no secret.
type Failure struct {
	endpoint string
	err      error
}

func (e *Failure) Error() string { return e.endpoint + ": " + e.err.Error() }
func (e *Failure) Unwrap() error { return e.err }

// failed is the end of a request that an error of the network, of a user's
// RoundTripper, or of the context ended.
func (r *Request) failed(ctx context.Context, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	return &Failure{endpoint: syntax.EndpointName(r.Endpoint), err: r.secrets().Error(err)}
}
