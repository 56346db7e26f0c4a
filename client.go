package certtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/panics"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
	"github.com/certtoken/certtoken/internal/workers"
)

// version is sent as the User-Agent.
const version = "0.1.0"

// Bounds of what a request may ask for.
const (
	maxScopes    = 256
	maxScopeText = 16 << 10
)

// Client exchanges client assertions for access tokens and keeps the tokens. It
// is made by [NewClient] or [NewFederatedClient], may be used from many goroutines, and should be one
// for each client id and authority in a program: its cache is what saves
// requests. Without [WithKeepWarm], a Client that is forgotten leaks nothing; its
// idle connections end after 90 s.
type Client struct {
	id        string
	authority Authority
	cfg       config
	hooks     Hooks
	requester requester
	bindings  *mtls.Bindings // nil: tokens are bound to no certificate
	shared    *sharedStore   // nil: none

	own, users *cache.Cache[Token, Grant] // the client's tokens, and those on behalf of users
	clock      *clock.Clock
	work       *workers.Group
}

// NewClient makes a client of an authority from its client id (in Entra ID the
// application id) and the source of its certificate. It does no I/O, and its
// error holds every mistake at once.
func NewClient(authority Authority, clientID string, source CertSource, opts ...Option) (*Client, error) {
	var missing error
	if source == nil {
		missing = errors.New("no certificate source: give CertFile, a Certificate or a source of your own")
	} else if file, ok := source.(*FileSource); ok {
		missing = file.validate()
	}
	return newClient(authority, clientID, missing, func(c *Client) credential {
		return &certCredential{
			clientID: c.id, source: source, hooks: c.hooks, clock: c.clock,
			warnBefore: c.cfg.expiryWarning, bindings: c.bindings,
		}
	}, opts)
}

// newClient is what the constructors have in common. missing says what is wrong
// with the credential.
func newClient(authority Authority, clientID string, missing error, of func(*Client) credential, opts []Option) (*Client, error) {
	cfg := newConfig(opts)
	errs := []error{authority.validate(), cfg.validate()}
	if clientID == "" || !syntax.IsVisible(strings.ReplaceAll(clientID, " ", "")) {
		errs = append(errs, errors.New("the client id is empty or not printable"))
	}
	errs = append(errs, missing)
	if authority.presents() && cfg.http != nil {
		errs = append(errs, mtls.CheckBase(cfg.http.Transport))
	}
	if len(cfg.tenants) > 0 || cfg.anyTenant {
		if !authority.hasTenants() {
			errs = append(errs, errors.New("WithTenants is for Entra authorities whose host has several"))
		}
		if authority.audience != "" {
			errs = append(errs, errors.New("WithTenants and WithAudience exclude each other: each tenant's endpoint is its audience"))
		}
	}
	c := &Client{id: clientID, authority: authority, cfg: cfg, hooks: joinHooks(cfg.hooks), clock: clock.New(), work: workers.New()}
	warm := make([]cache.Key, 0, len(cfg.keepWarm))
	for _, scopes := range cfg.keepWarm {
		k, err := c.key(Request{Scopes: scopes})
		errs = append(errs, err)
		warm = append(warm, k)
	}
	keys, err := newStoreKeys(cfg.storeKeys)
	errs = append(errs, err)
	c.cfg.storeKeys = nil // secrets lie in one place
	if err := errors.Join(errs...); err != nil {
		return nil, public(err)
	}
	endpoint := exchange.New(cfg.http, userAgent(cfg.userAgent))
	if authority.presents() {
		c.bindings = mtls.New(endpoint.HTTP, authority.noPSS)
	}
	c.requester = requester{
		clientID: clientID, capabilities: cfg.capabilities, hooks: c.hooks, clock: c.clock,
		credential: of(c), endpoint: endpoint, bindings: c.bindings,
	}
	if cfg.store != nil {
		c.shared = &sharedStore{
			store: cfg.store, keys: func() []seal.Key { return keys },
			clientID: clientID, capabilities: cfg.capabilities, clock: c.clock, work: c.work,
			failed: c.hooks.StoreFailed, bindings: c.bindings, calls: make(chan struct{}, maxStoreCalls),
		}
	}
	c.own = c.newCache(cfg.cacheLimit)
	c.users = c.newCache(cfg.userCacheLimit)
	for _, k := range warm {
		c.work.Go(func() { c.own.KeepWarm(k) })
	}
	return c, nil
}

// newCache makes a cache of at most limit tokens.
func (c *Client) newCache(limit int) *cache.Cache[Token, Grant] {
	cfg := cache.Config[Token, Grant]{
		Limit: limit, Clock: c.clock, Work: c.work, Foreground: c.cfg.foreground,
		Fetch:     c.fetch,
		Life:      func(t *Token) *clock.Span { return &t.life },
		Ends:      (*Token).ExpiresAt,
		Judge:     judge,
		Again:     again,
		Condition: func() string { return c.requester.credential.name() },
		OnMiss: func(k *cache.Key) {
			emit(c.hooks.Miss, Event{Tenant: k.Tenant, Scopes: k.Scopes})
		},
		OnRenewalFailed: func(k *cache.Key, before *Token, err error, pause time.Duration) {
			emit(c.hooks.RenewalFailed, Event{
				Tenant: k.Tenant, Scopes: k.Scopes, Err: public(err), ExpiresAt: before.ExpiresAt(), RetryIn: pause,
			})
		},
	}
	if c.bindings != nil {
		cfg.Usable = c.presentable
	}
	if c.hooks.Hit != nil {
		cfg.OnHit = func(k *cache.Key, t *Token) {
			c.hooks.Hit(Event{Tenant: k.Tenant, Scopes: k.Scopes, ExpiresAt: t.ExpiresAt()})
		}
	}
	return cache.New(cfg)
}

// presentable tells whether a token is bound to the certificate in use, or to none.
func (c *Client) presentable(t *Token) bool {
	return c.bindings == nil || c.bindings.InUse(t.secret().user().binding)
}

// fetch gets a token from the shared store if there is one, or else from the
// endpoint.
func (c *Client) fetch(ctx context.Context, call *tokenCall) cache.Fetched[Token] {
	authority, err := c.authority.forTenant(call.Key.Tenant)
	if err != nil {
		return cache.Fetched[Token]{Err: err}
	}
	origin := func() (*Token, error) { return c.requester.request(ctx, authority, call) }
	if c.shared == nil || call.Want.Once {
		t, err := origin()
		return cache.Fetched[Token]{Token: t, Err: err}
	}
	bound, err := c.requester.credential.bound(ctx)
	if err != nil {
		return cache.Fetched[Token]{Err: err}
	}
	return c.shared.fetch(ctx, authority, call, bound, origin)
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

// Request says what token is wanted. Its zero value apart from Scopes is what
// [Client.Token] asks for.
type Request struct {
	// Scopes are asked for together, in any order. Entra ID takes one resource
	// for each request, written {resource}/.default.
	Scopes []string

	// Grant is what the client shows to be given the token; by default it acts
	// as itself.
	Grant Grant

	// Tenant is the authority's if empty; another must be allowed by [WithTenants].
	Tenant string

	// Claims is the JSON object of a claims challenge, of 16 KiB at most. It goes
	// past the cache, and the token it brings takes the place of the cached one.
	Claims string

	// Fresh goes past the cache. A request that is under way already will do.
	Fresh bool

	// MinValidity is how long the token must still be handed out, for a long
	// job; not negative. If a new one isn't either, the error wraps [ErrShortLived].
	// It is for tokens that are cached: with a grant that is redeemed once it is an error.
	MinValidity time.Duration
}

// Token returns a token for the scopes, from the cache or from the token
// endpoint. While there is a valid one it doesn't wait for anything, whatever
// the endpoint does. Otherwise all who ask for the same wait for one request,
// each until its own context ends; the request, of up to three attempts and 30 s
// with what the endpoint asks to wait, goes on without them and its token is
// kept. A refusal is remembered for a second, throttling for as long as
// the endpoint asks, up to 5 min: until then the same error comes without a
// request.
//
// Errors are a [*TokenError] where the endpoint refused; they wrap [ErrBadResponse]
// where its answer was unusable, the context's error, [ErrClosed], or what the
// certificate source or the network said.
func (c *Client) Token(ctx context.Context, scopes ...string) (*Token, error) {
	if c.own == nil {
		return nil, errNotMade
	}
	if t := c.own.Get("", "", scopes, Grant{}, 0); t != nil {
		return t, nil
	}
	return c.acquire(ctx, Request{Scopes: slices.Clone(scopes)}, nil)
}

// Acquire is [Client.Token] with everything that can be asked for.
func (c *Client) Acquire(ctx context.Context, req Request) (*Token, error) {
	if c.own == nil {
		return nil, errNotMade
	}
	if req.Claims == "" && !req.Fresh && req.MinValidity >= 0 && req.Grant.secret == nil {
		tenant := req.Tenant
		if tenant == c.authority.tenant {
			tenant = ""
		}
		// There is a slot only for a tenant that was found to be allowed.
		if t := c.own.Get(tenant, "", req.Scopes, Grant{}, req.MinValidity); t != nil {
			return t, nil
		}
	}
	req.Scopes = slices.Clone(req.Scopes)
	return c.acquire(ctx, req, nil)
}

// acquire is the way of everybody whom the cache can't serve at once. insteadOf is
// a token that a resource refused, or nil.
func (c *Client) acquire(ctx context.Context, req Request, insteadOf *Token) (*Token, error) {
	k, err := c.key(req)
	if err != nil {
		return nil, public(err)
	}
	from := c.own
	if k.User != "" {
		from = c.users
	}
	t, err := from.Acquire(ctx, k, cache.Want[Token, Grant]{
		Grant: req.Grant, Claims: req.Claims, Fresh: req.Fresh, Once: req.Grant.params().once,
		Further: req.MinValidity, InsteadOf: insteadOf,
	})
	return t, public(err)
}

// Check finds out whether the client can get a token: it asks the source for
// the certificate, signs, and acquires a token. Call it at start-up to fail there and
// not at the first request. Without scopes it asks Entra ID for Microsoft Graph,
// which every app may ask for, and other servers for their default. A token in
// the cache will do. Errors are those of the source and of [Client.Token].
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
	_, err := c.Token(ctx, scopes...)
	return err
}

// checkCredential runs the user's source and signer once, outside of a flight.
func (c *Client) checkCredential(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error(p)
		}
	}()
	_, err = c.requester.credential.prove(ctx, c.authority)
	return err
}

// Close ends what is under way and forgets the tokens. Whoever waits gets
// [ErrClosed], and so does everybody afterwards. It waits until the client's
// goroutines have ended, and reports it if a source or hook that ignores its
// context keeps one busy for more than 10 s. Closing again, or at the same time,
// does nothing and waits for nothing.
func (c *Client) Close() error {
	if c.own == nil {
		return nil
	}
	if first := c.work.Close(); !first {
		return nil
	}
	c.own.Clear()
	c.users.Clear()
	if err := c.work.Wait(); err != nil {
		return public(err)
	}
	if c.bindings != nil {
		c.bindings.Close()
	}
	if c.cfg.http == nil {
		c.requester.endpoint.HTTP.CloseIdleConnections()
	}
	return nil
}

// key checks what a request asks for and brings it into the form by which it
// is cached.
func (c *Client) key(req Request) (cache.Key, error) {
	scopes, err := canonical(req.Scopes)
	if err != nil {
		return cache.Key{}, err
	}
	grant := req.Grant.params()
	if grant.err != nil {
		return cache.Key{}, fmt.Errorf("%s: %w", grant.name, grant.err)
	}
	if len(scopes) == 0 && c.authority.host != "" && !grant.once {
		return cache.Key{}, errors.New("no scope: Entra ID wants one resource, written {resource}/.default")
	}
	if err := claims.Check(req.Claims); err != nil {
		return cache.Key{}, err
	}
	if req.MinValidity < 0 {
		return cache.Key{}, fmt.Errorf("MinValidity %v is negative", req.MinValidity)
	}
	if req.MinValidity > 0 && grant.once {
		return cache.Key{}, fmt.Errorf("%s: MinValidity is for tokens that are cached", grant.name)
	}
	tenant := strings.ToLower(req.Tenant)
	if tenant == strings.ToLower(c.authority.tenant) {
		tenant = ""
	}
	if tenant != "" && !c.cfg.tenants[tenant] {
		if !c.cfg.anyTenant {
			return cache.Key{}, fmt.Errorf("tenant %q is not allowed: name it in WithTenants", redact.Short(tenant))
		}
		if err := syntax.CheckTenant(tenant); err != nil {
			return cache.Key{}, err
		}
	}
	return cache.Key{Tenant: tenant, User: grant.user, Scopes: scopes}, nil
}

// canonical splits scopes at spaces and drops duplicates. The order stays as
// given: it is sent so.
func canonical(scopes []string) ([]string, error) {
	list := make([]string, 0, len(scopes))
	length := 0
	for _, given := range scopes {
		for _, s := range strings.Fields(given) {
			if !syntax.IsScope(s) {
				return nil, fmt.Errorf("scope %q has characters that no scope may have (RFC 6749 §3.3)", redact.Short(s))
			}
			if slices.Contains(list, s) {
				continue
			}
			if length += len(s); length > maxScopeText || len(list) >= maxScopes {
				return nil, fmt.Errorf("more than %d scopes or %d bytes of them", maxScopes, maxScopeText)
			}
			list = append(list, s)
		}
	}
	return list, nil
}
