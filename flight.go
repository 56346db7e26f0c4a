package certtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

const (
	flightLimit = 30 * time.Second // one flight, with all its attempts

	minRenewPause = 30 * time.Second // after a failed renewal, doubling
	maxRenewPause = 5 * time.Minute

	landingGrace  = time.Second // that a flight whose time is over has to land
	refusalMemory = time.Second // of a final refusal
	forcedPause   = time.Minute // between two renewals that a resource's 401 forces
	freshEnough   = time.Minute // so long a token that was too short from the start isn't asked for again
)

var errFlightLimit = fmt.Errorf("no token within %v: %w", flightLimit, context.DeadlineExceeded)

// now is the age of t's clock at this moment.
func (c *Client) now(t *Token) time.Duration {
	if t == nil {
		return c.clock.mono()
	}
	return c.clock.age(c.clock.mono(), &t.life)
}

// ask is a request as the client works on it.
type ask struct {
	Request

	// not is a token that a resource refused: any other will do, and no more
	// than one flight a minute is started for such a reason, so that a resource
	// which always refuses can't have the endpoint asked in a loop.
	not *Token

	once   bool    // the grant can be redeemed once
	flight *flight // that works on it
	behind bool    // a renewal behind the callers
}

// cacheable tells whether a token from the cache will do.
func (r *ask) cacheable() bool { return r.Claims == "" && !r.Fresh && r.not == nil && !r.once }

// errForcedLately says that a resource's refusal is left to stand.
var errForcedLately = errors.New("certtoken: the token was already renewed for this resource within the last minute")

// acquire is the way of everybody whom the cache can't serve at once.
func (c *Client) acquire(ctx context.Context, req ask) (*Token, error) {
	k, err := c.key(req.Request)
	if err != nil {
		return nil, err
	}
	req.Scopes, req.Tenant, req.once = k.scopes, k.tenant, req.Grant.show().once
	if req.cacheable() {
		if t := c.cachedAs(k, req.Grant, req.MinValidity); t != nil {
			return t, nil
		}
	}
	emit(c.hooks.Miss, Event{Tenant: k.tenant, Scopes: k.scopes})
	for {
		if c.closed.Load() {
			return nil, ErrClosed
		}
		if ctx.Err() != nil {
			return nil, waitError(ctx, nil)
		}
		s := c.slot(k, req)
		t, f, err := c.join(ctx, s, req)
		if t != nil || err != nil {
			return t, err
		}
		if f == nil { // the slot was evicted in between
			continue
		}
		if err := c.wait(ctx, f); err != nil {
			return c.orValid(s, req, err)
		}
		if f.serves(req) {
			return c.landed(s, f, req)
		}
	}
}

// slot is where the token for k belongs. A grant that can be redeemed once has a
// slot that nobody else finds.
func (c *Client) slot(k key, req ask) *slot {
	if req.once {
		return &slot{key: k}
	}
	return c.cacheOf(k).slot(k, c.clock.mono())
}

// cacheOf is the cache for k.
func (c *Client) cacheOf(k key) *cache {
	if k.user != "" {
		return c.users
	}
	return c.cache
}

// cached is the client's own token in the cache, if there is one that may be
// handed out now and for a further while.
func (c *Client) cached(tenant string, scopes []string, further time.Duration) *Token {
	s := c.cache.find(tenant, "", scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, Grant{}, further)
}

// cachedAs is cached for a key that was found out the long way: by another
// spelling, of too many scopes for the way without a lock, or of a user.
func (c *Client) cachedAs(k key, grant Grant, further time.Duration) *Token {
	in := c.cacheOf(k)
	if len(k.scopes) > maxUnsorted {
		return c.handOut(in.slot(k, c.clock.mono()), grant, further)
	}
	s := in.find(k.tenant, k.user, k.scopes)
	if s == nil {
		return nil
	}
	return c.handOut(s, grant, further)
}

// handOut is hit for a token that must be valid for a further while.
func (c *Client) handOut(s *slot, grant Grant, further time.Duration) *Token {
	if further > 0 && !c.valid(s.token.Load(), further) {
		return nil
	}
	return c.hit(s, grant)
}

// wait waits for a flight, and returns why it was left before its end.
func (c *Client) wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return waitError(ctx, f)
	case <-c.ctx.Done():
		return ErrClosed
	case <-f.over:
	}
	// The flight's time is over. It lands at once, unless a source or signer
	// ignores its context; then it is left to itself.
	grace := time.NewTimer(landingGrace)
	defer grace.Stop()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return waitError(ctx, f)
	case <-c.ctx.Done():
		return ErrClosed
	case <-grace.C:
		return fmt.Errorf("certtoken: a certificate source, signer or hook has not returned in time: %w", errFlightLimit)
	}
}

// waitError is the end of the caller's own context: its error, its cause if that
// is another, and what the flight has met so far.
func waitError(ctx context.Context, f *flight) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	text := "certtoken: gave up waiting for a token"
	if f != nil {
		if met := f.trouble.Load(); met != nil {
			text += " (so far: " + strings.TrimPrefix((*met).Error(), "certtoken: ") + ")"
		}
	}
	if errors.Is(cause, err) {
		return fmt.Errorf("%s: %w", text, cause)
	}
	return fmt.Errorf("%s: %w: %w", text, err, cause)
}

// serves tells whether the end of f answers req. A flight with claims brings a
// token that is good for everybody, but its failure may be due to the claims. A
// token that other processes share may be the one that the caller won't have.
func (f *flight) serves(req ask) bool {
	switch {
	case req.Claims != "":
		return f.claims == req.Claims
	case f.claims != "" && f.err != nil:
		return false
	}
	return req.cacheable() || !f.shared
}

// landed is what a waiter gets of a flight that served it.
func (c *Client) landed(s *slot, f *flight, req ask) (*Token, error) {
	t, err := f.token, f.err
	if err != nil {
		return c.orValid(s, req, err)
	}
	if req.MinValidity > 0 && !c.valid(t, req.MinValidity) {
		return nil, shortLived(t, req.MinValidity)
	}
	return t, nil
}

// orValid answers an error by the valid token, where a renewal in the caller's
// time failed and the caller could do with the old one.
func (c *Client) orValid(s *slot, req ask, err error) (*Token, error) {
	if t := s.token.Load(); c.cfg.foreground && req.cacheable() && !c.closed.Load() && c.valid(t, req.MinValidity) {
		return t, nil
	}
	return nil, err
}

func shortLived(t *Token, want time.Duration) error {
	return fmt.Errorf("certtoken: %w: a new token ends at %s, wanted is %v from now",
		ErrShortLived, t.ExpiresAt().UTC().Format(time.RFC3339), want)
}

// valid tells whether t is handed out now and for a further while.
func (c *Client) valid(t *Token, further time.Duration) bool {
	return t != nil && further < t.life.end-c.now(t) && c.presentable(t)
}

// join gives the caller what is there: a token, a flight to wait for, or the
// error of a refusal that still holds. If it starts a flight, it returns that.
// All nil means that the slot is dead.
func (c *Client) join(ctx context.Context, s *slot, req ask) (*Token, *flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.Load() {
		return nil, nil, nil
	}
	t, w := s.token.Load(), s.busy()
	if c.suffices(s, w, t, req) {
		return t, nil, nil
	}
	if w.flight != nil {
		return nil, w.flight, nil
	}
	if err := c.stillRefused(w); err != nil {
		t, err = c.orValid(s, req, err)
		return t, nil, err
	}
	if req.MinValidity > 0 && req.cacheable() && c.valid(t, 0) &&
		t.life.end-t.life.granted < req.MinValidity && c.now(t)-t.life.granted < freshEnough {
		return nil, nil, shortLived(t, req.MinValidity)
	}
	if req.not != nil {
		now := c.clock.mono()
		if w.forced && now-w.forcedAt < forcedPause {
			return nil, nil, errForcedLately
		}
		w.forced, w.forcedAt = true, now
		if req.Claims == "" {
			s.forget(req.not)
		}
	}
	f := c.start(ctx, s, req)
	if f == nil {
		return nil, nil, ErrClosed
	}
	return nil, f, nil
}

// suffices tells whether the slot's token answers the request.
func (c *Client) suffices(s *slot, w *work, t *Token, req ask) bool {
	switch {
	case !c.valid(t, req.MinValidity):
		return false
	case req.not != nil:
		return t != req.not && (req.Claims == "" || w.claims == req.Claims)
	case c.cfg.foreground && int64(c.now(t)) >= s.renew.Load():
		return false
	}
	return req.Claims == "" && !req.Fresh
}

// stillRefused returns the error of a refusal that holds, as of now.
func (c *Client) stillRefused(w *work) error {
	r := w.refused
	if r == nil {
		return nil
	}
	left := r.until - c.clock.since(c.clock.mono(), r.ahead)
	if left <= 0 || r.thumbprint != "" && r.thumbprint != c.thumbprint() {
		w.refused = nil
		return nil
	}
	var te *TokenError
	if errors.As(r.err, &te) {
		return te.remembered(left)
	}
	return r.err
}

// busy returns the slot's work, made at need. The caller holds s.mu.
func (s *slot) busy() *work {
	if s.work == nil {
		s.work = new(work)
	}
	return s.work
}

// start sends a flight off; nil if the client is closed. The caller holds s.mu
// and has seen that there is none.
func (c *Client) start(ctx context.Context, s *slot, req ask) *flight {
	if !c.begin() {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), flightLimit, errFlightLimit)
	f := &flight{done: make(chan struct{}), over: ctx.Done(), claims: req.Claims}
	s.work.flight, req.flight = f, f
	f.renewBefore = s.renew.Swap(int64(never)) // no hit tries while the flight is under way
	go func() {
		defer cancel()
		c.fly(ctx, cancel, s, f, req)
	}()
	return f
}

// fly runs a flight to its end, whoever still waits for it. It lands even when
// a user's source or hook panics or ends its goroutine.
func (c *Client) fly(ctx context.Context, cancel func(), s *slot, f *flight, req ask) {
	defer c.work.Done()
	defer context.AfterFunc(c.ctx, cancel)()

	before := s.token.Load()
	var out fetched
	f.err = errors.New("certtoken: a certificate source, signer or hook ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			f.err = panicError(p)
		}
		c.land(s, f, req, before)
		c.settle(out)
	}()
	out = c.fetch(ctx, s.key, req, before)
	f.token, f.shared, f.err = out.token, out.shared, out.err
}

// panicError tells where a panic was, and not what it said: that could be a
// secret.
func panicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("certtoken: a certificate source, signer or hook panicked (%s) in %s", what, frame.Function)
		}
		if !more {
			return fmt.Errorf("certtoken: a certificate source, signer or hook panicked (%s)", what)
		}
	}
}

// land puts a flight's result where it belongs and lets the waiters go.
func (c *Client) land(s *slot, f *flight, req ask, before *Token) {
	if c.ctx.Err() != nil {
		f.token, f.err = nil, ErrClosed
	}
	s.mu.Lock()
	w := s.work
	w.flight = nil
	var pause time.Duration
	if f.err == nil {
		w.failures, w.refused, w.claims = 0, nil, f.claims
		// In this order, and the other way round in hit: who reads a due time
		// reads the token that it belongs to, or a newer one.
		s.token.Store(f.token)
		s.ahead.Store(int64(f.token.life.ahead))
		s.renew.Store(int64(f.token.life.renew))
	} else {
		pause = c.refused(s, f, before)
		due := max(f.renewBefore, int64(c.now(before)+pause))
		if before != nil {
			due = min(due, int64(before.life.end)) // before it, hit looks at nothing else
		}
		s.renew.Store(due)
	}
	if w.empty() {
		s.work = nil
	}
	s.mu.Unlock()
	close(f.done)
	c.cacheOf(s.key).tidy(c.clock.mono())
	if req.behind && f.err != nil && !errors.Is(f.err, ErrClosed) {
		c.renewalFailed(s, f, before, pause)
	}
}

// renewalFailed tells the hook, which by now can't hurt the waiters any more.
func (c *Client) renewalFailed(s *slot, f *flight, before *Token, pause time.Duration) {
	defer func() { _ = recover() }()
	emit(c.hooks.RenewalFailed, Event{
		Tenant: s.key.tenant, Scopes: s.key.scopes,
		Err: f.err, ExpiresAt: before.ExpiresAt(), RetryIn: pause,
	})
}

// refused notes a failure and returns the pause before the next renewal. What
// came of a request with claims may be due to them: of that only throttling
// concerns the others.
func (c *Client) refused(s *slot, f *flight, before *Token) time.Duration {
	w, now := s.work, c.clock.look()
	remember := func(d time.Duration, thumbprint string) {
		w.refused = &refusal{err: f.err, until: now.mono + d, ahead: now.ahead, thumbprint: thumbprint}
	}
	var te *TokenError
	if errors.As(f.err, &te) && te.Temporary() {
		if te.RetryAfter > 0 {
			remember(te.RetryAfter, "")
		}
		return max(c.renewPause(w, f, before), te.RetryAfter)
	}
	if f.claims == "" && te != nil {
		remember(refusalMemory, te.Thumbprint)
	} else if f.claims == "" && errors.Is(f.err, ErrBadResponse) {
		remember(refusalMemory, "")
	}
	if s.key.user != "" && te != nil && te.Code == "invalid_grant" && before != nil {
		return before.life.end - before.life.granted // the same assertion won't do better
	}
	return c.renewPause(w, f, before)
}

// renewPause counts a failed renewal and is the pause after it, in proportion
// for a token that lives shortly.
func (c *Client) renewPause(w *work, f *flight, before *Token) time.Duration {
	if f.claims != "" {
		return 0
	}
	w.failures++
	pause := min(minRenewPause<<min(w.failures-1, 8), maxRenewPause)
	if before != nil {
		pause = min(pause, max(time.Second, (before.life.end-before.life.granted)/10))
	}
	return pause
}

func (w *work) empty() bool {
	return w.flight == nil && w.refused == nil && w.failures == 0 && !w.forced && w.claims == ""
}

// fetched is what fetch found.
type fetched struct {
	token  *Token
	err    error
	shared bool   // the token is from the store
	settle func() // what is left to do when the waiters have gone; may be nil
}

// fetch gets a token from the shared store if there is one, or else from the
// endpoint.
func (c *Client) fetch(ctx context.Context, k key, req ask, before *Token) fetched {
	authority, err := c.authority.forTenant(k.tenant)
	if err != nil {
		return fetched{err: err}
	}
	if c.shared != nil && !req.once {
		return c.fetchShared(ctx, authority, k, req, before)
	}
	t, err := c.request(ctx, authority, k, req)
	return fetched{token: t, err: err}
}

// settle does what a flight has left for after its landing. A hook's panic
// there has nobody to be told to.
func (c *Client) settle(out fetched) {
	defer func() { _ = recover() }()
	if out.settle != nil {
		out.settle()
	}
}
