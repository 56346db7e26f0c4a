package certtoken

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/advice"
	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/workers"
)

// assertionType is of a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	maxAttempts = 3
	baseBackoff = time.Second // of the first pause; doubles, full jitter
)

// requester is what all token requests of a client have in common.
type requester struct {
	clientID     string
	capabilities []string
	hooks        Hooks
	clock        *clock.Clock
	credential   credential
	endpoint     *exchange.Client
	bindings     *mtls.Bindings // nil: tokens are bound to no certificate
	server       *clock.Offset  // the endpoint's clock
	propagation  time.Duration  // how long refusals are repeated that pass when a registration has spread
}

// tokenCall is one fetch of a token for a cache.
type tokenCall = cache.Call[Token, Grant]

// request gets a token from the endpoint: up to three attempts at what may
// pass, and one more each for a clock and for a certificate that the endpoint
// blamed and that could be replaced. Every attempt has a proof of its own; an
// assertion that is signed here has a new jti.
// A grant that can be redeemed once is sent again only if it can't have been. What
// passes when a registration has spread is repeated for as long as that was asked for.
func (q *requester) request(ctx context.Context, authority Authority, call *tokenCall) (*Token, error) {
	wanted, err := claims.WithCapabilities(call.Want.Claims, q.capabilities)
	if err != nil {
		return nil, err
	}
	run := requestRun{
		requester: q, call: call, authority: authority, key: call.Key, grant: call.Want.Grant.params(), claims: wanted,
		correlationID: newUUID(),
	}
	began := time.Now()
	for attempt := 1; ; {
		if err := run.obtain(ctx); err != nil {
			return nil, err
		}
		var t *Token
		if ctx, t, err = run.exchange(); err == nil || call.Abandoned() {
			return t, err
		}
		if run.removeCause(ctx, err) {
			continue
		}
		call.Trouble(inner(err).Error())
		pause, again := retryPause(err, attempt)
		if isSpreading(err) {
			pause = spreadPause(run.sent)
			again = time.Since(began)+pause < q.propagation
			attempt-- // which has a limit of its own
		}
		again = again && (!run.grant.once || leftGrantUnused(err))
		if deadline, ok := ctx.Deadline(); !again || ok && time.Until(deadline) <= pause || !workers.Sleep(ctx, pause) {
			return nil, err
		}
		attempt++
	}
}

// check makes a proof and sends it nowhere.
func (q *requester) check(ctx context.Context, authority Authority) error {
	p, err := q.credential.obtain(ctx, authority)
	if err == nil {
		_, err = q.credential.prove(ctx, authority, p)
	}
	return err
}

// requestRun is what the attempts of one token request have in common.
type requestRun struct {
	*requester
	call          *tokenCall
	authority     Authority
	key           cache.Key
	grant         grantParams
	claims        string
	correlationID string

	sent  int
	proof proof  // of the last attempt
	next  *proof // for the next one; nil: it makes its own

	reloaded       bool // the credential was asked for another proof
	clockCorrected bool
}

// obtain asks for what the next proof is made of, unless another one was given
// instead of a refused one. It comes before the turn: a source that hangs, or that
// waits for another client, holds nobody else up.
func (r *requestRun) obtain(ctx context.Context) (err error) {
	if r.next != nil {
		r.proof, r.next = *r.next, nil
		return nil
	}
	r.proof, err = r.credential.obtain(ctx, r.authority)
	return err
}

// exchange waits for the request's turn and makes an attempt. The context that it
// returns is the one that counts from then on.
func (r *requestRun) exchange() (context.Context, *Token, error) {
	ctx, leave, err := r.call.Turn()
	if err != nil {
		return ctx, nil, err
	}
	defer leave()
	t, err := r.attempt(ctx)
	return ctx, t, err
}

// attempt makes a proof and sends it.
func (r *requestRun) attempt(ctx context.Context) (_ *Token, err error) {
	if r.proof, err = r.credential.prove(ctx, r.authority, r.proof); err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // the signer took all the time that there was
		return nil, context.Cause(ctx)
	}
	r.sent++
	event := r.proof.event()
	event.Tenant, event.Scopes, event.Attempt, event.CorrelationID = r.key.Tenant, r.key.Scopes, r.sent, r.correlationID
	hooked := r.started(ctx, event)
	asked := r.clock.Look()
	leave := workers.Enter(ctx, partTransport)
	answer, err := r.endpoint.Post(hooked, r.exchangeRequest())
	leave()
	r.server.Note(dateOf(answer, err), asked.Time, r.clock.Look().Time)
	switch {
	case r.key.User == "" && !r.grant.once:
		answer.Refresh, answer.ID = "", "" // a client that acts as itself has no use for them
	case answer.Refresh == "":
		// Without a new refresh token the old one stays in force (RFC 6749 §6).
		answer.Refresh = r.grant.form.Get("refresh_token")
	}
	var t *Token
	if err == nil {
		if r.bindings != nil && !r.call.Abandoned() {
			r.bindings.Adopt(r.proof.binding)
		}
		r.credential.granted(ctx, r.proof)
		t = newToken(answer, r.key.Scopes, asked, r.proof.binding)
		event.ExpiresAt = t.ExpiresAt()
	} else {
		err = r.explain(err)
	}
	event.Err, event.Elapsed = public(err), r.clock.Mono()-asked.Mono
	r.ended(ctx, hooked, event)
	return t, err
}

// dateOf is the endpoint's time when it answered, or zero.
func dateOf(answer exchange.Answer, err error) time.Time {
	var refused *exchange.Refusal
	if errors.As(err, &refused) {
		return refused.Date
	}
	return answer.Date
}

// started tells the hooks of an attempt, and returns the context for it.
func (r *requestRun) started(ctx context.Context, e Event) context.Context {
	if r.hooks.RequestStart == nil {
		return ctx
	}
	leave := workers.Enter(ctx, partHook)
	next := r.hooks.RequestStart(ctx, e)
	leave()
	if next == nil {
		return ctx
	}
	return next
}

// ended tells the hooks of the end of an attempt, in the context that they made.
func (r *requestRun) ended(ctx, hooked context.Context, e Event) {
	if r.hooks.RequestEnd != nil {
		leave := workers.Enter(ctx, partHook)
		r.hooks.RequestEnd(hooked, e)
		leave()
	}
}

// form is that of a token request: what the grant shows, and who asks (RFC 6749
// §4, RFC 7523 §2.2).
func (r *requestRun) form() url.Values {
	form := maps.Clone(r.grant.form)
	form.Set("client_id", r.clientID)
	if r.proof.assertion != "" {
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", r.proof.assertion)
	}
	if r.authority.pop {
		form.Set("token_type", typeMTLSPoP)
	}
	if len(r.key.Scopes) > 0 {
		form.Set("scope", strings.Join(r.key.Scopes, " "))
	}
	if r.claims != "" {
		form.Set("claims", r.claims)
	}
	for name, values := range r.authority.params {
		form[name] = values
	}
	return form
}

// exchangeRequest is what is sent, and what the answer may be.
func (r *requestRun) exchangeRequest() *exchange.Request {
	req := &exchange.Request{
		Endpoint: r.authority.endpoint(), Form: r.form(), CorrelationID: r.correlationID, Over: r.proof.binding.Client(),
		AnyType: r.authority.anyTokenType, AssumedLife: r.authority.assumedLife,
	}
	if r.authority.pop {
		req.TokenType = typeMTLSPoP
	}
	return req
}

// explain is the error of an attempt as callers get it.
func (r *requestRun) explain(err error) error {
	var refused *exchange.Refusal
	var unusable *exchange.Unusable
	switch {
	case errors.As(err, &refused):
		return newTokenError(refused, r.proof.event(), r.adviceFor())
	case errors.As(err, &unusable):
		return badResponse(unusable)
	}
	return err
}

// adviceFor is what advice about a refusal must fit.
func (r *requestRun) adviceFor() advice.Request {
	req := advice.Request{ForUser: r.key.User != "" || r.grant.once}
	switch {
	case r.proof.cert == nil:
		req.Proof = advice.ByOthers
	case !r.authority.asserts():
		req.Proof = advice.ByTLS
	}
	return req
}

// removeCause tries to remove the cause of a refusal, each cause at most once in a
// request, and reports whether it makes sense to ask again at once.
func (r *requestRun) removeCause(ctx context.Context, err error) bool {
	var te *TokenError
	if !errors.As(err, &te) {
		return false
	}
	if !r.clockCorrected && r.followClock(ctx, te) {
		r.clockCorrected = true
		return true
	}
	blamed := te.blamesCertificate
	if r.proof.cert == nil {
		blamed = te.refusesClient
	}
	if !r.reloaded && blamed() {
		r.reloaded = true
		next, ok := r.credential.renew(ctx, r.authority, r.proof, te)
		if ok {
			r.next = &next
		}
		return ok
	}
	return false
}

// followClock follows the endpoint's clock, of which a hook may be told.
func (r *requestRun) followClock(ctx context.Context, why *TokenError) bool {
	leave := workers.Enter(ctx, partHook)
	better := r.credential.followClock(r.authority, r.proof, why)
	leave()
	return better
}

// retryPause reports whether a failed attempt is worth another, and after what
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

// leftGrantUnused reports whether a failed attempt surely left its grant unused: it
// never reached the server, or was turned away before anything was looked at. Any
// other failure may have come after the code was redeemed, and a server that
// sees a code twice revokes what it gave for it (RFC 6749 §4.1.2).
func leftGrantUnused(err error) bool {
	var te *TokenError
	var op *net.OpError
	return errors.As(err, &te) && te.StatusCode == http.StatusTooManyRequests ||
		errors.As(err, &op) && op.Op == "dial"
}

// isConnectionFailure leaves out what a second try can't change: a certificate
// that isn't trusted, and a proxy that doesn't let the request through.
func isConnectionFailure(err error) bool {
	var failure *exchange.Failure
	if !errors.As(err, &failure) {
		return false
	}
	return !isUntrusted(err) && !isTurnedAway(err)
}

// isTurnedAway reports whether a proxy doesn't let the request through, for a reason
// that won't pass.
func isTurnedAway(err error) bool {
	var proxy *connections.ProxyRefusal
	return errors.As(err, &proxy) && !exchange.IsTemporary(proxy.StatusCode)
}

// isUntrusted reports whether a server's certificate isn't trusted.
func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host)
}
