package certtokengrpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Credentials are a [certtoken.Client] bound to scopes, as
// [credentials.PerRPCCredentials]. Make them with [New], once for each client
// and scopes; they may be used by many connections and goroutines.
type Credentials struct {
	client *certtoken.Client
	scopes []string

	refused atomic.Pointer[certtoken.Token] // by a server, last

	mu        sync.Mutex
	renewing  chan struct{} // closed when the last forced renewal has ended
	renewedAt time.Time
}

var _ credentials.PerRPCCredentials = (*Credentials)(nil)

// New returns credentials with tokens of the client for the scopes. It does no
// I/O.
func New(client *certtoken.Client, scopes ...string) *Credentials {
	return &Credentials{client: client, scopes: slices.Clone(scopes)}
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (*Credentials) RequireTransportSecurity() bool { return true }

// GetRequestMetadata implements [credentials.PerRPCCredentials]. It is called by
// gRPC, with the context of the call.
//
// Its errors have a status: that of the context if it ended, UNAUTHENTICATED if
// the token endpoint refused for good or the certificate isn't valid, UNAVAILABLE
// for what may pass. gRPC makes it the status of the call. [errors.As] finds the
// cause in what this method returns, and not in what gRPC makes of it.
func (c *Credentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	if err := credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "certtokengrpc: the token is sent over TLS only: %v", err)
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, &tokenError{code: codeOf(ctx, err), err: err}
	}
	if strings.EqualFold(token.Type(), "DPoP") {
		return nil, status.Error(codes.Unauthenticated, "certtokengrpc: a DPoP token is of no use without a proof "+
			"for each call, and gRPC has no place for one: give New a client without WithDPoP")
	}
	noteSent(ctx, c, token)
	return map[string]string{"authorization": token.Type() + " " + token.AccessToken()}, nil
}

// token gets a token that no server has refused, where that can be had.
func (c *Credentials) token(ctx context.Context) (*certtoken.Token, error) {
	token, err := c.client.Token(ctx, c.scopes...)
	if err != nil || token != c.refused.Load() {
		return token, err
	}
	return c.renew(ctx, token)
}

// tokenError is an error with a status.
type tokenError struct {
	code codes.Code
	err  error
}

func (e *tokenError) Error() string              { return e.err.Error() }
func (e *tokenError) Unwrap() error              { return e.err }
func (e *tokenError) GRPCStatus() *status.Status { return status.New(e.code, e.err.Error()) }

// codeOf is the status of a call that got no token. What isn't known to be
// final may pass.
func codeOf(ctx context.Context, err error) codes.Code {
	var refusal *certtoken.TokenError
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Code()
	case errors.As(err, &refusal):
		if !refusal.Temporary() {
			return codes.Unauthenticated
		}
	case errors.Is(err, certtoken.ErrExpired), errors.Is(err, certtoken.ErrNotYetValid):
		return codes.Unauthenticated
	case errors.Is(err, certtoken.ErrClosed):
		return codes.Canceled // as calls on a closed connection
	}
	return codes.Unavailable
}
