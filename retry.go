package certtoken

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	maxAttempts = 3
	baseBackoff = time.Second // of the first pause; doubles, full jitter
)

// request gets a token from the endpoint: up to three attempts at what may
// pass, and one more each for a clock and for a certificate that the endpoint
// blamed and that could be mended. Every attempt has a proof of its own; an
// assertion that is signed here has a new jti.
// A grant that can be redeemed once is sent again only if it can't have been.
func (c *Client) request(ctx context.Context, authority Authority, k key, req ask) (*Token, error) {
	claims, err := mergeCapabilities(req.Claims, c.cfg.capabilities)
	if err != nil {
		return nil, err
	}
	run := requestRun{client: c, authority: authority, key: k, grant: req.Grant.show(), claims: claims, correlationID: newUUID()}
	for attempt := 1; ; {
		t, err := run.attempt(ctx)
		if err == nil {
			return t, nil
		}
		if run.mend(ctx, err) {
			continue
		}
		if req.flight != nil {
			req.flight.trouble.Store(&err)
		}
		pause, again := retryPause(err, attempt)
		again = again && (!run.grant.once || unused(err))
		if deadline, ok := ctx.Deadline(); !again || ok && time.Until(deadline) <= pause || !sleep(ctx, pause) {
			return nil, err
		}
		attempt++
	}
}

// requestRun is what the attempts of one token request have in common.
type requestRun struct {
	client        *Client
	authority     Authority
	key           key
	grant         shown
	claims        string
	correlationID string

	sent    int
	proof   proof  // of the last attempt
	next    *proof // for the next one; nil: it makes its own
	renewed bool   // the credential was asked for another proof
	reset   bool   // the clock was corrected
}

// attempt makes a proof and sends it.
func (r *requestRun) attempt(ctx context.Context) (*Token, error) {
	c := r.client
	if err := r.prove(ctx); err != nil {
		return nil, err
	}
	r.sent++
	event := r.proof.event()
	event.Tenant, event.Scopes, event.Attempt, event.CorrelationID = r.key.tenant, r.key.scopes, r.sent, r.correlationID
	if c.hooks.RequestStart != nil {
		if next := c.hooks.RequestStart(ctx, event); next != nil {
			ctx = next
		}
	}
	asked := c.clock.look()
	g, err := c.exchanger.post(ctx, r.proof.binding, r.authority.endpoint(), r.form(r.proof), r.correlationID)
	if r.key.user == "" && !r.grant.once {
		g.refresh, g.id = "", "" // a client that acts as itself has no use for them
	}

	if err == nil {
		err = r.checkType(g)
	}

	var t *Token
	var te *TokenError
	if err == nil {
		g.binding = r.proof.binding
		c.adopt(g.binding)
		t = newToken(g, r.key.scopes, asked)
		event.ExpiresAt = t.ExpiresAt()
	} else if errors.As(err, &te) {
		te.Thumbprint = event.Thumbprint
		if event.Subject != "" {
			te.certificate = fmt.Sprintf("%q, SHA-1 %s, SHA-256 %s", event.Subject, event.ThumbprintSHA1, event.Thumbprint)
		}
	}
	event.Err, event.Elapsed = err, c.clock.mono()-asked.mono
	if c.hooks.RequestEnd != nil {
		c.hooks.RequestEnd(ctx, event)
	}
	return t, err
}

// mend tries to remove the cause of a refusal, each at most once in a request,
// and tells whether it makes sense to ask again at once.
func (r *requestRun) mend(ctx context.Context, err error) bool {
	var te *TokenError
	if !errors.As(err, &te) {
		return false
	}
	if te.blamesClock() && !r.reset && r.proof.cert != nil && r.client.correctClock(te.date, r.proof.offset) {
		r.reset = true
		return true
	}
	refused := te.blamesCertificate() || r.proof.cert == nil && te.Code == "invalid_client"
	if refused && !r.renewed {
		r.renewed = true
		next, ok := r.client.credential.renew(ctx, r.authority, r.proof, te)
		if ok {
			r.next = &next
		}
		return ok
	}
	return false
}

// prove makes the proof of an attempt, or takes the one that renew made.
func (r *requestRun) prove(ctx context.Context) (err error) {
	if r.next != nil {
		r.proof, r.next = *r.next, nil
		return nil
	}
	r.proof, err = r.client.credential.prove(ctx, r.authority)
	return err
}

// retryPause tells whether a failed attempt is worth another, and after what
// pause: the server's, or exponential with full jitter.
func retryPause(err error, attempt int) (time.Duration, bool) {
	var te *TokenError
	if errors.As(err, &te) {
		if !te.Temporary() {
			return 0, false
		}
	} else if !isConnectionFailure(err) {
		return 0, false
	}
	if attempt >= maxAttempts {
		return 0, false
	}
	if te != nil && te.RetryAfter > 0 {
		return te.RetryAfter, true
	}
	return rand.N(baseBackoff << (attempt - 1)), true
}

// unused tells whether a failed attempt surely left its grant unused: it never
// reached the server, or was turned away before anything was looked at. Any
// other failure may have come after the code was redeemed, and a server that
// sees a code twice revokes what it gave for it (RFC 6749 §4.1.2).
func unused(err error) bool {
	var te *TokenError
	var op *net.OpError
	return errors.As(err, &te) && te.StatusCode == http.StatusTooManyRequests ||
		errors.As(err, &op) && op.Op == "dial"
}

// isConnectionFailure leaves out what a second try can't change: a certificate
// that isn't trusted.
func isConnectionFailure(err error) bool {
	var failure *connectionFailure
	if !errors.As(err, &failure) {
		return false
	}
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return !errors.As(err, &verification) && !errors.As(err, &authority) && !errors.As(err, &host)
}

// sleep waits, and reports whether it wasn't cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
