package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// target is the request that the flags and the environment describe.
type target struct {
	authority  certtoken.Authority
	discovery  *discovery // nil: the authority is complete
	entra      bool
	onBehalfOf bool   // users' tokens are exchanged by Microsoft's grant, not by RFC 8693
	origin     string // the server's scheme and host, to try the connection
	clientID   string
	scopes     []string
	params     url.Values
	agent      string          // the agent identity that the token is for; "": none
	grant      certtoken.Grant // what is sent beside the client's own proof
	cert       certFlags
	env        *environment
	http       *http.Client
	bound      bool // to the certificate, by the TLS handshake
	timeout    time.Duration
	log        *slog.Logger // nil: nothing is logged
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
	defer client.Close()
	if t.isFederated() {
		return nil // a request would be made
	}
	if err := refused(client, certtoken.Request{Agent: t.agent}); err != nil {
		return failure.Usagef("--agent-identity: %w", failure.Clean(err))
	}
	if err := refused(client, certtoken.Request{Scopes: t.scopes}); err != nil {
		return failure.Usagef("--scope: %w", failure.Clean(err))
	}
	if err := refused(client, certtoken.Request{Parameters: t.params}); err != nil {
		return failure.Usagef("%w", err).Advise("It is given by --param.")
	}
	return nil
}

// refused lets a client without a certificate check a request, and returns what is wrong
// with it. A command may go without a scope.
func refused(client *certtoken.Client, req certtoken.Request) error {
	if len(req.Scopes) == 0 {
		req.Scopes = []string{"any"}
	}
	_, err := client.Acquire(context.Background(), req)
	if errors.Is(err, certtoken.ErrNoCertificate) {
		return nil // the check is over, and nothing was sent
	}
	return err
}

// isFederated reports whether a token of the platform's is the assertion. There is no
// certificate then.
func (t *target) isFederated() bool { return t.env.assertionFile != "" }

// load opens the certificate that the flags name. For a federated target it returns one
// that is empty.
func (t *target) load(ctx context.Context, c *console.Console) (*openedCert, error) {
	if t.isFederated() {
		return &openedCert{}, nil
	}
	opened, err := t.cert.load(ctx, c)
	if err == nil && opened.Leaf == nil && t.entra {
		return nil, failure.Errorf("%s: %w", t.cert.name(), errKeyAlone)
	}
	return opened, err
}

// errKeyAlone is for Entra ID's dialect at another endpoint, which the library doesn't know
// as Entra ID.
var errKeyAlone = fmt.Errorf("%w: Entra ID knows its clients by certificates, and this is a key alone",
	certtoken.ErrNoCertificate)

// client makes a client. The source is not used where the target is federated. What the
// library refuses here came from the flags and the environment, so its error is wrong
// usage.
func (t *target) client(source certtoken.CertSource, opts ...certtoken.Option) (*certtoken.Client, error) {
	opts = append([]certtoken.Option{
		certtoken.WithHTTPClient(t.http),
		certtoken.WithUserAgent("certtoken-cli/" + strings.Trim(version(), "()")),
		certtoken.WithRequestTimeouts(requestTimeouts(t.timeout)),
	}, opts...)
	if t.log != nil {
		opts = append(opts, certtoken.WithLogger(t.log))
	}
	var client *certtoken.Client
	var err error
	if t.isFederated() {
		from := certtoken.AssertionFile(t.env.assertionFile)
		client, err = certtoken.NewFederatedClient(t.authority, t.clientID, from, opts...)
	} else {
		client, err = certtoken.NewClient(t.authority, t.clientID, source, opts...)
	}
	switch {
	case failure.IsAny(err, []error{certtoken.ErrNotRSA, certtoken.ErrNoCertificate}):
		// The flags are right, the file isn't.
		return nil, failure.Clean(err)
	case err != nil:
		return nil, failure.Usagef("%w", namesFlags(err))
	}
	return client, nil
}

// requestTimeouts are the limits of one attempt and of a whole request: the
// library's own, or longer ones where --timeout is longer.
func requestTimeouts(timeout time.Duration) (attempt, whole time.Duration) {
	whole = min(max(timeout, 30*time.Second), 10*time.Minute)
	return whole / 3, whole
}

// request is what the client is asked for.
func (t *target) request() certtoken.Request {
	return certtoken.Request{Scopes: t.scopes, Parameters: t.params, Agent: t.agent, Grant: t.grant}
}

// locate finds the token endpoint, if it isn't known. It asks for the server's metadata
// once.
func (t *target) locate(ctx context.Context) error {
	if t.discovery == nil {
		return nil
	}
	authority, err := t.discovery.find(ctx)
	if err == nil {
		t.authority, t.discovery = authority, nil
	}
	return err
}

// acquire gets a token within the context's time limit.
func (t *target) acquire(ctx context.Context, client *certtoken.Client) (*certtoken.Token, error) {
	token, err := client.Acquire(ctx, t.request())
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return token, err
}

// limited is a context that ends when the time limit of a token request is over.
func (t *target) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, t.timeout, &timeIsUp{"no token", t.timeout})
}

// timeIsUp is the end of --timeout.
type timeIsUp struct {
	what  string // that wasn't there in time
	limit time.Duration
}

func (e *timeIsUp) Error() string { return fmt.Sprintf("%s within %v", e.what, e.limit) }

// Unwrap gives the error its exit status and its advice.
func (e *timeIsUp) Unwrap() error { return context.DeadlineExceeded }
