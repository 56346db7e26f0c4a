package certtoken

import (
	"context"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/workers"
)

// fetcher gets the tokens that a client's caches keep, and calls the hooks that are about
// them.
type fetcher struct {
	authority Authority
	requester *requester
	store     *sharedStore // nil: none
	hooks     Hooks
	work      *workers.Group
}

var _ cache.Owner[Token, Grant] = (*fetcher)(nil)

// Fetch gets a token from the shared store, if the client has one, or else from the
// endpoint.
func (f *fetcher) Fetch(ctx context.Context, call *tokenCall) cache.Fetched[Token] {
	authority, err := f.authority.forTenant(call.Key.Tenant)
	if err != nil {
		return cache.Fetched[Token]{Err: err}
	}
	if isBoundLeg(&call.Key) {
		authority = authority.forBoundLeg()
	}
	if s := call.Want.Grant.params().session; s != nil {
		t, err := f.refresh(ctx, authority, call, s)
		return cache.Fetched[Token]{Token: t, Err: err}
	}
	origin := func() (*Token, error) { return f.requester.requestToken(ctx, authority, call) }
	if f.store == nil || call.Want.Once || f.requester.prover != nil { // other processes don't have the prover's key
		t, err := origin()
		return cache.Fetched[Token]{Token: t, Err: err}
	}
	var binding *mtls.Binding
	if authority.binds() {
		if binding, err = f.requester.credential.binding(ctx); err != nil {
			return cache.Fetched[Token]{Err: err}
		}
	}
	return f.store.fetch(ctx, authority, call, binding, origin)
}

// refresh gets a token by the refresh token of a session. The access token isn't shared
// with other processes, but they learn of a new refresh token.
func (f *fetcher) refresh(ctx context.Context, authority Authority, call *tokenCall, s *refreshing) (*Token, error) {
	var others successors
	if f.store != nil {
		others = sessionStore{store: f.store, key: call.Key, endpoint: authority.endpoint()}
	}
	return s.renew(ctx, eventAbout(&call.Key), others, func(token string) (*Token, error) {
		redeemed := *call
		redeemed.Want.Grant = RefreshToken(token)
		return f.requester.requestToken(ctx, authority, &redeemed)
	})
}

// Life returns the span in which the token is handed out and renewed.
func (*fetcher) Life(t *Token) *clock.Span { return &t.life }

// Judge says what is to be remembered of an error.
func (*fetcher) Judge(err error, k *cache.Key) cache.Verdict { return judge(err, k) }

// Condition names the certificate in use. A remembered refusal counts only as long as
// that is the certificate that was refused.
func (f *fetcher) Condition() string { return f.requester.credential.name() }

// Recall returns a remembered error with the time for which it is still remembered.
func (*fetcher) Recall(err error, left time.Duration) error { return rememberedError(err, left) }

// Missed tells the hooks that a caller has to wait.
func (f *fetcher) Missed(k *cache.Key) { emit(f.hooks.Miss, eventAbout(k)) }

// RenewalFailed tells the hooks of a renewal behind the callers.
func (f *fetcher) RenewalFailed(k *cache.Key, before *Token, err error, pause time.Duration) {
	e := eventAbout(k)
	e.Err, e.ExpiresAt, e.RetryIn = callerError(err), before.ExpiresAt(), pause
	emit(f.hooks.RenewalFailed, e)
}

// Abandoned tells the hooks of a request that was given up.
func (f *fetcher) Abandoned(k *cache.Key, err *cache.AbandonedError) {
	e := eventAbout(k)
	e.Err, e.Part, e.Elapsed = callerError(err), err.Part, err.After
	e.Abandoned, _ = f.work.Abandoned()
	emit(f.hooks.RequestAbandoned, e)
}

// Returned tells the hooks that a request which was given up has ended.
func (f *fetcher) Returned(k *cache.Key, part string, took time.Duration) {
	e := eventAbout(k)
	e.Part, e.Elapsed = part, took
	n, _ := f.work.Abandoned()
	e.Abandoned = n - 1 // without this one
	emit(f.hooks.RequestReturned, e)
}
