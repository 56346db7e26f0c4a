package certtokengrpc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// RetryRefused is a service config for [google.golang.org/grpc.WithDefaultServiceConfig]
// by which every call that is refused as UNAUTHENTICATED is made once more, with
// the new token that [Credentials.StatsHandler] takes care of. gRPC does so only
// for calls to which the server has answered nothing else.
const RetryRefused = `{"methodConfig": [{
	"name": [{}],
	"retryPolicy": {
		"maxAttempts": 2,
		"initialBackoff": "0.01s",
		"maxBackoff": "0.01s",
		"backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAUTHENTICATED"]
	}
}]}`

// renewPause is the time between two renewals that refusals force, so that a
// server which refuses every token can't have the endpoint asked in a loop.
const renewPause = time.Minute

// StatsHandler returns a handler for [google.golang.org/grpc.WithStatsHandler] that
// notices when a server refuses a token: the calls after it wait for another
// one, at most one a minute. Without it, a token that was revoked is sent until
// the client renews it by itself.
//
// Where the refusal of a stream overtakes its first message, gRPC reports to stats
// handlers that the stream ended well: then a later call finds out.
func (c *Credentials) StatsHandler() stats.Handler { return handler{c} }

// handler follows each attempt of a call from its token to its end.
type handler struct{ credentials *Credentials }

// sentKey finds the token that an attempt was sent with.
type sentKey struct{ by *Credentials }

type sent struct {
	token atomic.Pointer[certtoken.Token]
}

// noteSent remembers the token of an attempt that is followed.
func noteSent(ctx context.Context, c *Credentials, token *certtoken.Token) {
	if s, ok := ctx.Value(sentKey{c}).(*sent); ok {
		s.token.Store(token)
	}
}

// TagRPC implements [stats.Handler].
func (h handler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, sentKey{h.credentials}, new(sent))
}

// HandleRPC implements [stats.Handler].
func (h handler) HandleRPC(ctx context.Context, event stats.RPCStats) {
	end, ok := event.(*stats.End)
	if !ok || status.Code(end.Error) != codes.Unauthenticated {
		return
	}
	if s, ok := ctx.Value(sentKey{h.credentials}).(*sent); ok {
		if token := s.token.Load(); token != nil {
			h.credentials.refused.Store(token)
		}
	}
}

// TagConn implements [stats.Handler].
func (handler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements [stats.Handler].
func (handler) HandleConn(context.Context, stats.ConnStats) {}

// renew replaces a refused token: one call does it and the others wait, each
// until its own context ends. If there can't be another one now, the refused
// token is sent again, and the server's word stands.
func (c *Credentials) renew(ctx context.Context, refused *certtoken.Token) (*certtoken.Token, error) {
	done, mine := c.startRenewal()
	if mine {
		defer close(done)
		if token, err := c.client.Acquire(ctx, certtoken.Request{Scopes: c.scopes, Fresh: true}); err == nil {
			return token, nil
		}
		return refused, ctx.Err()
	}
	select {
	case <-done:
		return c.client.Token(ctx, c.scopes...)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startRenewal returns the renewal that the caller is to make, or else the last
// one, which may be under way.
func (c *Credentials) startRenewal() (done chan struct{}, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.renewing != nil && time.Since(c.renewedAt) < renewPause {
		return c.renewing, false
	}
	c.renewing, c.renewedAt = make(chan struct{}), time.Now()
	return c.renewing, true
}
