package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// target is the request that the flags and the environment describe.
type target struct {
	authority certtoken.Authority
	entra     bool
	origin    string // the server's scheme and host, to try the connection
	clientID  string
	scopes    []string
	cert      certFlags
	http      *http.Client
	timeout   time.Duration
	log       *slog.Logger // nil: nothing is logged
}

// validate lets the library check the values of the flags, before a file is read
// or a password is asked for.
func (t *target) validate() error {
	none := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		return nil, certtoken.ErrNoCertificate
	})
	client, err := t.client(none)
	if err != nil {
		return err
	}
	return client.Close()
}

// client makes a client. What the library refuses here came from the flags, so its
// error is wrong usage.
func (t *target) client(source certtoken.CertSource, opts ...certtoken.Option) (*certtoken.Client, error) {
	opts = append([]certtoken.Option{
		certtoken.WithHTTPClient(t.http),
		certtoken.WithUserAgent("certtoken-cli/" + strings.Trim(version(), "()")),
		certtoken.WithRequestTimeouts(requestTimeouts(t.timeout)),
	}, opts...)
	if t.log != nil {
		opts = append(opts, certtoken.WithLogger(t.log))
	}
	client, err := certtoken.NewClient(t.authority, t.clientID, source, opts...)
	if err != nil {
		return nil, failure.Usagef("%w", err)
	}
	return client, nil
}

// requestTimeouts are the limits of one attempt and of a whole request: the
// library's own, or longer ones where --timeout is longer.
func requestTimeouts(timeout time.Duration) (attempt, whole time.Duration) {
	whole = min(max(timeout, 30*time.Second), 10*time.Minute)
	return whole / 3, whole
}

// acquire gets a token within the time limit.
func (t *target) acquire(ctx context.Context, client *certtoken.Client) (*certtoken.Token, error) {
	limit := fmt.Errorf("no token within %v: %w", t.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, limit)
	defer cancel()
	token, err := client.Token(ctx, t.scopes...)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return token, err
}
