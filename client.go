package certtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/panics"
	"github.com/certtoken/certtoken/internal/queue"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
	"github.com/certtoken/certtoken/internal/workers"
)

// version is sent as the User-Agent.
const version = "0.1.0"

// Client exchanges client assertions for access tokens and keeps the tokens. Make it
// with [NewClient] or [NewFederatedClient]. It may be used from many goroutines. A
// program should have one Client for each client id and authority, because the cache
// in it saves requests. A Client without [WithKeepWarm] that is no longer used needs no
// Close: it leaks nothing, and its idle connections end after 90 s. Clients without
// [WithHTTPClient] share their connections, which are closed with the last of them.
type Client struct {
	id        string
	authority Authority
	cfg       config
	hooks     Hooks
	requester *requester
	lease     *connections.Lease // of the connections to the token endpoint
	bindings  *mtls.Bindings     // nil: no certificate is presented in TLS
	prover    *prover            // nil: tokens are bound to no key

	caches
	clock *clock.Clock
	work  *workers.Group
}

// caches are those of a client.
type caches struct {
	own, users *cache.Cache[Token, Grant] // the client's own tokens; those on behalf of users
}

// of is the cache that has the tokens of a key.
func (c *caches) of(k *cache.Key) *cache.Cache[Token, Grant] {
	if k.User != "" {
		return c.users
	}
	return c.own
}

// NewClient makes a client of an authority from its client id (in Entra ID the
// application id) and the source of its certificate, or of its key alone. It does no I/O,
// and its error holds every mistake at once. That the authority doesn't take the key is an
// error here if the source is a [Certificate] or made by [KeyFile], and otherwise when it
// would sign.
func NewClient(authority Authority, clientID string, source CertSource, opts ...Option) (*Client, error) {
	return newClient(authority, clientID, checkSource(authority, source), func(c *Client) credential {
		return &certCredential{
			clientID: c.id, source: source, hooks: c.hooks, clock: c.clock,
			warnBefore: c.cfg.expiryWarning, bindings: c.bindings,
		}
	}, opts)
}

// checkSource reports what is wrong with a source, as far as that shows without I/O.
func checkSource(authority Authority, source CertSource) error {
	switch source := source.(type) {
	case nil:
		return errors.New("no certificate source: give CertFile, KeyFile, a Certificate or a source of your own")
	case *FileSource:
		err := source.validate()
		if err == nil && source.cfg.forKey {
			err = authority.takesKeys()
		}
		return err
	case *Certificate:
		if source.check() == nil { // what is wrong with it otherwise is told when it would sign
			return authority.takes(source)
		}
	}
	return nil
}

// newClient is what both constructors have in common. missing is an error about the
// source, or nil; of makes the credential.
func newClient(
	authority Authority, clientID string, missing error, of func(*Client) credential, opts []Option,
) (*Client, error) {
	cfg := newConfig(opts)
	errs := []error{authority.validate(), cfg.validate()}
	if clientID == "" || !syntax.IsVisible(strings.ReplaceAll(clientID, " ", "")) {
		errs = append(errs, errors.New("the client id is empty or not printable"))
	}
	errs = append(errs, missing)
	if authority.presents() && cfg.http != nil {
		errs = append(errs, mtls.CheckBase(cfg.http.Transport))
	}
	if len(cfg.environment) > 0 {
		errs = append(errs, errors.New(
			"WithAuthorityOptions is for ClientFromEnvironment: give the options to what makes the authority"))
	}
	if len(cfg.tenants) > 0 || cfg.anyTenant {
		if !authority.hasTenants() {
			errs = append(errs, errors.New("WithTenants is for Entra authorities whose host has several"))
		}
		if authority.audience != "" {
			errs = append(errs, errors.New(
				"WithTenants and WithAudience exclude each other: each tenant's endpoint is its audience"))
		}
	}
	c := &Client{
		id: clientID, authority: authority, cfg: cfg, hooks: joinHooks(cfg.hooks), clock: clock.New(), work: workers.New(),
	}
	warm := make([]cache.Key, 0, len(cfg.keepWarm))
	for _, scopes := range cfg.keepWarm {
		k, err := c.key(Request{Scopes: scopes})
		errs = append(errs, err)
		warm = append(warm, k)
	}
	keys, err := newStoreKeys(cfg.storeKeys)
	errs = append(errs, err)
	c.cfg.storeKeys = nil // so that the secrets are in one place only
	if err := errors.Join(errs...); err != nil {
		return nil, public(err)
	}
	c.lease = cfg.connections()
	runtime.AddCleanup(c, (*connections.Lease).Close, c.lease) // if the client is never closed
	endpoint := exchange.New(c.lease.Client(), userAgent(cfg.userAgent), cfg.attemptLimit)
	if authority.presents() {
		c.bindings = mtls.New(endpoint.HTTP, authority.noPSS)
	}
	server := new(clock.Offset)
	if authority.dpop {
		if c.prover, err = newProver(authority, c.clock, server); err != nil {
			return nil, public(err)
		}
	}
	c.requester = &requester{
		server: server, prover: c.prover,
		clientID: clientID, capabilities: cfg.capabilities, hooks: c.hooks, clock: c.clock,
		credential: of(c), endpoint: endpoint, bindings: c.bindings, propagation: cfg.propagation,
	}
	tokens := &fetcher{authority: authority, requester: c.requester, hooks: c.hooks, work: c.work}
	if cfg.store != nil {
		tokens.store = &sharedStore{
			store: cfg.store, keys: func() []seal.Key { return keys },
			clientID: clientID, capabilities: cfg.capabilities, clock: c.clock, work: c.work,
			server: server, failed: c.hooks.StoreFailed, bindings: c.bindings, calls: make(chan struct{}, maxStoreCalls),
		}
	}
	places := queue.New(cfg.maxExchanges)
	pace := cache.NewPace(max(1, cfg.maxExchanges/2)) // the other places are for callers who wait
	c.own = c.newCache(tokens, places, pace, cfg.cacheLimit)
	c.users = c.newCache(tokens, places, pace, cfg.userCacheLimit)
	own := c.own
	c.requester.legs = func(ctx context.Context, k cache.Key, refused *Token) (*Token, error) {
		if refused == nil {
			if t := own.Get(&k, Grant{}, 0); t != nil {
				return t, nil
			}
		}
		return own.Acquire(ctx, k, cache.Want[Token, Grant]{InsteadOf: refused})
	}
	for _, k := range warm {
		c.work.Go(partHook, func() { c.own.KeepWarm(k) }) // hooks are the only part of the user's that runs here
	}
	return c, nil
}

// newCache makes a cache of at most limit tokens.
func (c *Client) newCache(
	tokens *fetcher, places *queue.Queue, pace *cache.Pace, limit int,
) *cache.Cache[Token, Grant] {
	cfg := cache.Config[Token, Grant]{
		Owner: tokens, Limit: limit, ByteLimit: max(leastBytes, limit*bytesForEach), Size: (*Token).size,
		Foreground: c.cfg.foreground, FlightLimit: max(c.cfg.requestLimit, c.cfg.propagation),
		Clock: c.clock, Work: c.work, Queue: places, Pace: pace, Same: (*Token).is,
	}
	if c.bindings != nil {
		cfg.Usable = func(t *Token) bool { return t.isPresentable(c.bindings) }
	}
	if c.hooks.Hit != nil {
		cfg.OnHit = func(k *cache.Key, t *Token) {
			e := eventAbout(k)
			e.ExpiresAt = t.ExpiresAt()
			c.hooks.Hit(e)
		}
	}
	return cache.New(cfg)
}

// String names the client by its id and token endpoint.
func (c *Client) String() string {
	return fmt.Sprintf("certtoken.Client(%s at %s)", c.id, syntax.EndpointName(c.authority.tokenURL))
}

// Format prints c as String does, whatever the verb.
func (c *Client) Format(s fmt.State, _ rune) { fmt.Fprint(s, c.String()) }

func userAgent(program string) string {
	return strings.TrimSpace(fmt.Sprintf("%s certtoken/%s (%s; %s)", program, version, runtime.Version(), runtime.GOOS))
}

// Token returns a token for the scopes, from the cache or from the token
// endpoint. While the cache has a valid one, it returns at once, whatever the endpoint
// does. Otherwise all callers who ask for the same token wait for one request, each
// until its own context ends.
//
// The request has up to three attempts in 30 s ([WithRequestTimeouts]), which include
// the pauses that the endpoint asks for. When many requests are under way it first waits its turn
// ([WithMaxConcurrentExchanges]). It goes on when its callers have left, and its token
// is kept. If a part of the program, such as a signer, ignores the end of this time,
// the request is given up 5 s later: the error names the part, and the next caller
// starts another request. A refusal is remembered for a second, and throttling for as
// long as the endpoint asks, up to 5 min. Meanwhile callers get the same error without
// a request.
//
// The error is a [*TokenError] where the endpoint refused. Otherwise it wraps
// [ErrBadResponse] where the answer was unusable, the context's error, [ErrClosed], or
// the error of the certificate source or of the network.
func (c *Client) Token(ctx context.Context, scopes ...string) (*Token, error) {
	if c.own == nil {
		return nil, errNotMade
	}
	if t := c.own.Get(&cache.Key{Scopes: scopes}, Grant{}, 0); t != nil {
		return t, nil
	}
	return c.acquire(ctx, Request{Scopes: slices.Clone(scopes)})
}

// Acquire is [Client.Token] for a [Request], which can also name a tenant, a grant,
// parameters, claims or how long the token must be valid.
func (c *Client) Acquire(ctx context.Context, req Request) (*Token, error) {
	if c.own == nil {
		return nil, errNotMade
	}
	if t := c.cached(&req); t != nil {
		return t, nil
	}
	req.Scopes = slices.Clone(req.Scopes)
	t, err := c.acquire(ctx, req)
	if err == nil && req.Refused != nil && t.is(req.Refused) {
		return nil, public(errors.New("the token endpoint granted the refused token again"))
	}
	return t, err
}

// cached returns the token for a request if the cache has it at once, or nil. It finds
// out nothing else about the request: there is a slot only for one that was found to be
// allowed.
func (c *Client) cached(req *Request) *Token {
	if req.Claims != "" || req.Fresh || req.MinValidity < 0 || req.Refused != nil {
		return nil
	}
	k := cache.Key{Tenant: req.Tenant, Agent: req.Agent, Scopes: req.Scopes, Parameters: req.Parameters}
	if isBoundLeg(&k) { // such a slot is the library's own
		return nil
	}
	if k.Tenant == c.authority.tenant {
		k.Tenant = ""
	}
	from := c.own
	if req.Grant.secret != nil {
		if k.User = req.Grant.params().user; k.User == "" {
			return nil
		}
		from = c.users
	}
	return from.Get(&k, req.Grant, req.MinValidity)
}

// acquire gets a token that the cache couldn't give at once.
func (c *Client) acquire(ctx context.Context, req Request) (*Token, error) {
	k, err := c.key(req)
	if err != nil {
		return nil, public(err)
	}
	t, err := c.caches.of(&k).Acquire(ctx, k, cache.Want[Token, Grant]{
		Grant: req.Grant, Claims: req.Claims, Fresh: req.Fresh, Once: req.Grant.params().once,
		MinValidity: req.MinValidity, InsteadOf: req.Refused, CorrelationID: req.CorrelationID,
	})
	return t, callerError(err)
}

// reusable is a copy of a request that a handle can use again and again. The error says
// why it can't.
func (c *Client) reusable(req Request) (Request, error) {
	k, err := c.key(req)
	if err == nil {
		err = req.checkReusable()
	}
	req.Scopes, req.Parameters = slices.Clone(req.Scopes), k.Parameters
	return req, err
}

// key is the cache's key for a request to this client.
func (c *Client) key(req Request) (cache.Key, error) { return req.key(c.authority, &c.cfg) }

// Check finds out whether the client can get a token: it asks the source for the
// certificate, signs, and acquires a token, which may come from the cache. Call it at
// start-up, so that a mistake shows there and not at the first request. Without scopes
// it asks Entra ID for Microsoft Graph, which every app may ask for, and other servers
// for their default scope. With [WithoutClientAuthentication] it signs and acquires
// nothing. Errors are those of the source and of [Client.Token].
func (c *Client) Check(ctx context.Context, scopes ...string) error {
	if c.own == nil {
		return errNotMade
	}
	if c.work.Closed() {
		return public(ErrClosed)
	}
	if len(scopes) == 0 {
		scopes = c.authority.checkScopes()
	}
	if err := c.checkCredential(ctx); err != nil {
		return public(err)
	}
	if c.authority.grantOnly { // only a request with a grant gets a token
		return nil
	}
	_, err := c.Token(ctx, scopes...)
	return err
}

// checkCredential runs the user's source and signer once, outside of a flight. When the
// context ends it returns, even if they don't.
func (c *Client) checkCredential(ctx context.Context) error {
	if n, parts := c.work.Abandoned(); n >= workers.MaxAbandoned {
		return fmt.Errorf("%d calls still hang in %s, so no other is made", n, parts)
	}
	limit := fmt.Errorf("no proof within %v: %w", c.cfg.requestLimit, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.requestLimit, limit)
	defer cancel()
	ctx, task := c.work.Begin(ctx)
	if task == nil {
		return ErrClosed
	}
	done := make(chan error, 1)
	go func() {
		defer task.End()
		var err error
		checked := false
		defer func() {
			if p := recover(); p != nil {
				err = panics.Error(task.Part(), p)
			} else if !checked {
				err = fmt.Errorf("%s ended its goroutine", task.Part())
			}
			done <- err
		}()
		err = c.requester.check(ctx, c.authority)
		checked = true
	}()
	select {
	case err := <-done:
		return callerError(err)
	case <-ctx.Done():
	case <-c.work.Context().Done():
		return ErrClosed
	}
	select {
	case err := <-done:
		return callerError(err)
	default:
		task.Abandon()
		return fmt.Errorf("gave up waiting for %s: %w", task.Part(), context.Cause(ctx))
	}
}

// Close ends what is under way and forgets the tokens. Callers who wait, and all later
// ones, get [ErrClosed]. Close waits until the client's goroutines have ended, at most
// 10 s. If some have not, its error names the part of the program that ignores its
// context, such as a signer; a source of [NewestValid] may be at work for up to 16 s
// longer. A second call does nothing and returns at once.
func (c *Client) Close() error {
	if c.own == nil {
		return nil
	}
	if first := c.work.Close(); !first {
		return nil
	}
	defer c.lease.Close()
	c.own.Clear()
	c.users.Clear()
	if err := c.work.Wait(); err != nil {
		return public(fmt.Errorf("closed, but %w", err))
	}
	if c.bindings != nil {
		c.bindings.Close()
	}
	c.lease.Close()
	return nil
}
