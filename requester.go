package certtoken

import (
	"cmp"
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

const (
	maxAttempts = 3
	baseBackoff = time.Second // bound of the first pause, which is random; it doubles
)

// requester is what all token requests of a client have in common.
type requester struct {
	clientID     string
	capabilities []string
	hooks        Hooks
	clock        *clock.Clock
	credential   credential
	endpoint     *exchange.Client
	bindings     *mtls.Bindings // nil: no certificate is presented in TLS
	prover       *prover        // nil: tokens are bound to no key
	server       *clock.Offset  // the endpoint's clock
	legs         legTokens      // of agent identities
	propagation  time.Duration  // see WithPropagationRetry
}

// tokenCall is one fetch of a token for a cache.
type tokenCall = cache.Call[Token, Grant]

// requestToken gets a token from the endpoint. A temporary failure has up to three
// attempts. One more attempt follows when the endpoint's clock is followed from now on,
// one when it gave a nonce for the DPoP proof, and one when the certificate could be
// replaced. Every attempt has a proof of its own: an assertion that is signed here has a
// new jti. A grant that can be redeemed once is sent again only if the server can't have
// redeemed it. With WithPropagationRetry, what passes when a registration has spread is
// repeated for that time.
func (q *requester) requestToken(ctx context.Context, authority Authority, call *tokenCall) (*Token, error) {
	wanted, err := claims.WithCapabilities(call.Want.Claims, q.capabilities)
	if err != nil {
		return nil, err
	}
	run := requestRun{
		requester: q, call: call, authority: authority, key: call.Key, grant: call.Want.Grant.params(), claimsParam: wanted,
		correlationID: cmp.Or(call.Want.CorrelationID, newUUID()), clientID: q.clientID, credential: q.credential,
		possession: possession{prover: q.prover},
	}
	if agent := call.Key.Agent; agent != "" {
		run.clientID = agent
		run.credential = &agentCredential{
			agent: agent, tenant: call.Key.Tenant, asUser: run.grant.kind == kindAgentUser, tokens: q.legs,
		}
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
		if te := (*TokenError)(nil); errors.As(err, &te) && te.RetryAfter > 0 {
			call.Throttled(te.RetryAfter)
		}
		pause, again := retryPause(err, attempt)
		if isSpreading(err) {
			pause = spreadPause(run.sent)
			again = time.Since(began)+pause < q.propagation
			attempt-- // these attempts are limited by time
		}
		again = again && (!run.grant.once || leftGrantUnused(err))
		if deadline, ok := ctx.Deadline(); !again || ok && time.Until(deadline) <= pause || !workers.Sleep(ctx, pause) {
			return nil, err
		}
		attempt++
	}
}

// check makes a proof and doesn't send it.
func (q *requester) check(ctx context.Context, authority Authority) error {
	p, err := q.credential.obtain(ctx, authority)
	if err == nil {
		p, err = q.credential.prove(ctx, authority, p)
	}
	if err == nil && authority.grantOnly {
		_, err = q.credential.signGrant(ctx, authority, p, Assertion{})
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
	claimsParam   string
	correlationID string
	clientID      string     // of who asks: the client, or an agent identity
	credential    credential // by which it proves itself

	sent  int
	proof proof  // of the last attempt
	next  *proof // for the next attempt, after a refusal; nil: the source is asked

	possession possession // of the key that the token is to be bound to

	reloaded       bool // the credential was asked to replace the proof
	clockCorrected bool
}

// obtain asks the source for what the next proof is made of, unless a refused proof was
// replaced. It runs before the request waits for its turn, so that a source that hangs,
// or that waits for another client, doesn't hold up other requests.
func (r *requestRun) obtain(ctx context.Context) (err error) {
	if r.next != nil {
		r.proof, r.next = *r.next, nil
		return nil
	}
	r.proof, err = r.credential.obtain(ctx, r.authority)
	return err
}

// exchange waits for the request's turn and makes an attempt. The request's time begins
// with its turn, so its context is the returned one from then on.
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
	if signed := r.grant.signed; signed != nil {
		if r.proof, err = r.credential.signGrant(ctx, r.authority, r.proof, *signed); err != nil {
			return nil, err
		}
	}
	if err = r.possession.prove(ctx, r.authority.endpoint()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // the signer took all of the time
		return nil, context.Cause(ctx)
	}
	r.sent++
	event := r.event()
	hooked := r.started(ctx, event)
	asked := r.clock.Look()
	leave := workers.Enter(ctx, partTransport)
	answer, err := r.endpoint.Post(hooked, r.exchangeRequest())
	leave()
	r.server.Note(dateOf(answer, err), asked.Time, r.clock.Look().Time)
	switch {
	case r.key.User == "" && !r.grant.once:
		answer.Refresh, answer.ID = "", "" // a client that acts as itself doesn't use them
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
		t = newToken(answer, r.key.Scopes, asked, r.binding()).boundTo(r.possession.key())
		event.ExpiresAt = t.ExpiresAt()
	} else {
		err = r.explain(err)
	}
	event.Err, event.Elapsed = callerError(err), r.clock.Mono()-asked.Mono
	r.ended(ctx, hooked, event)
	return t, err
}

// binding is that of the certificate which the endpoint binds the token to, or nil.
func (r *requestRun) binding() *mtls.Binding {
	if !r.authority.binds() {
		return nil
	}
	return r.proof.binding
}

// event starts the event of an attempt.
func (r *requestRun) event() Event {
	if r.hooks.RequestStart == nil && r.hooks.RequestEnd == nil {
		return Event{} // nobody is told, so the certificate needn't be put in words
	}
	e, of := r.proof.event(), eventAbout(&r.key)
	e.Tenant, e.Agent, e.Scopes, e.Parameters = of.Tenant, of.Agent, of.Scopes, of.Parameters
	e.Attempt, e.CorrelationID = r.sent, r.correlationID
	return e
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

// form is the form of a token request: the grant, the client and its proof (RFC 6749 §4,
// RFC 7523 §2.2).
func (r *requestRun) form() url.Values {
	form := maps.Clone(r.grant.form)
	if !r.authority.grantOnly {
		form.Set("client_id", r.clientID)
	}
	if r.proof.agent != "" {
		form.Set("user_federated_identity_credential", r.proof.agent)
	}
	if r.proof.grant != "" {
		form.Set("assertion", r.proof.grant)
	}
	if r.proof.assertion != "" {
		form.Set("client_assertion_type", cmp.Or(r.proof.kind, assertionType))
		form.Set("client_assertion", r.proof.assertion)
	}
	if r.authority.pop {
		form.Set("token_type", typeMTLSPoP)
	}
	if len(r.key.Scopes) > 0 {
		form.Set("scope", strings.Join(r.key.Scopes, " "))
	}
	if r.claimsParam != "" {
		form.Set("claims", r.claimsParam)
	}
	maps.Copy(form, r.authority.params)
	maps.Copy(form, r.key.Parameters)
	return form
}

// exchangeRequest is what is sent, with what its answer may be.
func (r *requestRun) exchangeRequest() *exchange.Request {
	req := &exchange.Request{
		Endpoint: r.authority.endpoint(), Form: r.form(), CorrelationID: r.correlationID, HTTP: r.proof.binding.Client(),
		AnyType: r.authority.anyTokenType, AssumedLife: r.authority.assumedLife,
	}
	if r.authority.pop {
		req.TokenType = typeMTLSPoP
	}
	r.possession.ask(req)
	return req
}

// explain makes the callers' error of an attempt's error.
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

// adviceFor says what kind of request the advice about a refusal must fit.
func (r *requestRun) adviceFor() advice.Request {
	req := advice.Request{
		ForUser: r.key.User != "" || r.grant.once, Signed: r.grant.signed != nil, Exchange: r.grant.kind == kindExchange,
	}
	switch {
	case r.proof.cert == nil:
		req.Proof = advice.ByOthers
	case r.authority.presents() && !r.authority.asserts():
		req.Proof = advice.ByTLS
	}
	return req
}

// removeCause tries to remove the cause of a refusal: a wrong clock or a certificate that
// isn't registered, each at most once in a request. It reports whether to ask again at
// once.
func (r *requestRun) removeCause(ctx context.Context, err error) bool {
	var te *TokenError
	if !errors.As(err, &te) {
		return false
	}
	if r.possession.newNonce(te) {
		return true
	}
	if !r.clockCorrected && (r.followClock(ctx, te) || r.followClockInProof(ctx, te)) {
		r.clockCorrected = true
		return true
	}
	blamed := te.blamesCertificate
	if r.proof.cert == nil {
		blamed = te.blamesAssertion
	}
	if !r.reloaded && blamed() {
		r.reloaded = true
		next, ok := r.credential.replace(ctx, r.authority, r.proof, te)
		if ok {
			r.next = &next
		}
		return ok
	}
	return false
}

// followClock lets the credential follow the endpoint's clock. It may call a hook.
func (r *requestRun) followClock(ctx context.Context, why *TokenError) bool {
	leave := workers.Enter(ctx, partHook)
	better := r.credential.followClock(r.authority, r.proof, why)
	leave()
	return better
}

// followClockInProof reports whether the next DPoP proof has a better time, which is the
// endpoint's. It may call a hook.
func (r *requestRun) followClockInProof(ctx context.Context, why *TokenError) bool {
	tolerance, _ := r.authority.clockLimits()
	if !r.possession.clockWasOff(why, tolerance) {
		return false
	}
	emitIn(ctx, r.hooks.ClockCorrected, Event{Offset: r.prover.ahead()})
	return true
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

// leftGrantUnused reports whether a failed attempt certainly left its grant unused: it
// never reached the server, or was throttled before the server looked at it. Any
// other failure may have come after the code was redeemed, and a server that
// sees a code twice revokes what it gave for it (RFC 6749 §4.1.2).
func leftGrantUnused(err error) bool {
	var te *TokenError
	var op *net.OpError
	return errors.As(err, &te) && te.StatusCode == http.StatusTooManyRequests ||
		errors.As(err, &op) && op.Op == "dial"
}

// isConnectionFailure reports whether no answer came, for a reason that may pass. A
// server's certificate that isn't trusted, or a proxy that refuses the request, is not
// such a reason.
func isConnectionFailure(err error) bool {
	var failure *exchange.Failure
	if !errors.As(err, &failure) {
		return false
	}
	return !isUntrusted(err) && !isTurnedAway(err)
}

// isTurnedAway reports whether a proxy refused the request for a reason that won't pass.
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
