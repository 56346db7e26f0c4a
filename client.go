package certtoken

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// version is sent as the User-Agent.
const version = "0.1.0"

// Bounds of what a request may ask for.
const (
	maxScopes    = 256
	maxScopeText = 16 << 10
)

// closeLimit is how long Close waits for work that ignores its context.
const closeLimit = 10 * time.Second

// Client exchanges client assertions for access tokens and keeps the tokens. It
// is made by [NewClient] or [NewFederatedClient], may be used from many goroutines, and should be one
// for each client id and authority in a program: its cache is what saves
// requests. Without [WithKeepWarm], a Client that is forgotten leaks nothing; its
// idle connections end after 90 s.
type Client struct {
	id         string
	authority  Authority
	credential credential
	cfg        config
	hooks      Hooks
	exchanger  *exchanger
	shared     *sharedStore // nil: none
	cache      *cache
	users      *cache // of tokens on behalf of users
	clock      *clock

	presents bool // the certificate, in TLS handshakes: tokens are bound to it
	bound    bindings

	offset  atomic.Int64           // how far the endpoint's clock is ahead of ours
	noPSS   atomic.Bool            // the signer said so, and WithPSSFallback was given
	signing atomic.Pointer[inUse]  // the certificate that signed last
	trouble atomic.Pointer[string] // of its source, as told to the hooks

	ctx    context.Context // of flights; ends with Close
	cancel context.CancelFunc
	closed atomic.Bool
	mu     sync.Mutex // guards flights.Add against Close
	work   sync.WaitGroup
}

// NewClient makes a client of an authority from its client id (in Entra ID the
// application id) and the source of its certificate. It does no I/O, and its
// error holds every mistake at once.
func NewClient(authority Authority, clientID string, source CertSource, opts ...Option) (*Client, error) {
	var missing error
	if source == nil {
		missing = errors.New("certtoken: no certificate source: give CertFile, a Certificate or a source of your own")
	} else if file, ok := source.(*FileSource); ok {
		missing = file.validate()
	}
	return newClient(authority, clientID, missing, func(c *Client) credential {
		return &certCredential{client: c, source: source}
	}, opts)
}

// newClient is what the constructors have in common. missing says what is wrong
// with the credential.
func newClient(authority Authority, clientID string, missing error, of func(*Client) credential, opts []Option) (*Client, error) {
	cfg := newConfig(opts)
	errs := []error{authority.validate(), cfg.validate()}
	if clientID == "" || !isVisibleASCII(strings.ReplaceAll(clientID, " ", "")) {
		errs = append(errs, errors.New("certtoken: the client id is empty or not printable"))
	}
	errs = append(errs, missing)
	if authority.presents() && cfg.http != nil {
		errs = append(errs, checkBase(cfg.http.Transport))
	}
	if len(cfg.tenants) > 0 || cfg.anyTenant {
		if !authority.hasTenants() {
			errs = append(errs, errors.New("certtoken: WithTenants is for Entra authorities whose host has several"))
		}
		if authority.audience != "" {
			errs = append(errs, errors.New("certtoken: WithTenants and WithAudience exclude each other: each tenant's endpoint is its audience"))
		}
	}
	c := &Client{id: clientID, authority: authority, cfg: cfg, presents: authority.presents()}
	c.credential = of(c)
	warm := make([]Request, 0, len(cfg.keepWarm))
	for _, scopes := range cfg.keepWarm {
		k, err := c.key(Request{Scopes: scopes})
		errs = append(errs, err)
		warm = append(warm, Request{Scopes: k.scopes})
	}
	if cfg.store != nil {
		shared, err := newSharedStore(cfg.store, cfg.storeKeys)
		errs = append(errs, err)
		c.shared = shared
		c.cfg.storeKeys = nil // secrets lie in one place
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.hooks = joinHooks(cfg.hooks)
	c.clock = newClock()
	c.cache = newCache(cfg.cacheLimit)
	c.users = newCache(cfg.userCacheLimit)
	c.exchanger = newExchanger(cfg.http, userAgent(cfg.userAgent))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, req := range warm {
		c.work.Go(func() { c.keepWarm(req) })
	}
	return c, nil
}

// String names the client by its id and token endpoint.
func (c *Client) String() string {
	return fmt.Sprintf("certtoken.Client(%s at %s)", c.id, endpointName(c.authority.tokenURL))
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
	if t := c.cached("", scopes, 0); t != nil {
		return t, nil
	}
	return c.acquire(ctx, ask{Request: Request{Scopes: slices.Clone(scopes)}})
}

// Acquire is [Client.Token] with everything that can be asked for.
func (c *Client) Acquire(ctx context.Context, req Request) (*Token, error) {
	want := ask{Request: req}
	if want.cacheable() && req.MinValidity >= 0 && req.Grant.secret == nil {
		tenant := req.Tenant
		if tenant == c.authority.tenant {
			tenant = ""
		}
		// There is a slot only for a tenant that was found to be allowed.
		if t := c.cached(tenant, req.Scopes, req.MinValidity); t != nil {
			return t, nil
		}
	}
	want.Scopes = slices.Clone(req.Scopes)
	return c.acquire(ctx, want)
}

// Check finds out whether the client can get a token: it asks the source for
// the certificate, signs, and acquires a token. Call it at start-up to fail there and
// not at the first request. Without scopes it asks Entra ID for Microsoft Graph,
// which every app may ask for, and other servers for their default. A token in
// the cache will do. Errors are those of the source and of [Client.Token].
func (c *Client) Check(ctx context.Context, scopes ...string) error {
	if c.cache == nil {
		return errNotMade
	}
	if c.closed.Load() {
		return ErrClosed
	}
	if len(scopes) == 0 {
		scopes = c.authority.checkScopes()
	}
	if err := c.checkCredential(ctx); err != nil {
		return err
	}
	_, err := c.Token(ctx, scopes...)
	return err
}

// checkCredential runs the user's source and signer once, outside of a flight.
func (c *Client) checkCredential(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
	}()
	_, err = c.credential.prove(ctx, c.authority)
	return err
}

// Close ends what is under way and forgets the tokens. Whoever waits gets
// [ErrClosed], and so does everybody afterwards. It waits until the client's
// goroutines have ended, and reports it if a source or hook that ignores its
// context keeps one busy for more than 10 s. Closing again, or at the same time,
// does nothing and waits for nothing.
func (c *Client) Close() error {
	if c.cache == nil {
		return nil
	}
	c.mu.Lock()
	again := c.closed.Swap(true)
	c.mu.Unlock()
	c.cancel()
	if again {
		return nil
	}
	c.cache.clear()
	c.users.clear()
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		return errors.New("certtoken: closed, but a source, signer or hook that ignores its context is still busy")
	}
	c.unbound()
	if c.cfg.http == nil {
		c.exchanger.http.CloseIdleConnections()
	}
	return nil
}

// begin admits a piece of work that Close waits for.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	c.work.Add(1)
	return true
}

// key checks what a request asks for and brings it into the form by which it
// is cached.
func (c *Client) key(req Request) (key, error) {
	scopes, err := canonical(req.Scopes)
	if err != nil {
		return key{}, err
	}
	grant := req.Grant.show()
	if grant.err != nil {
		return key{}, fmt.Errorf("certtoken: %s: %w", grant.name, grant.err)
	}
	if len(scopes) == 0 && c.authority.host != "" && !grant.once {
		return key{}, errors.New("certtoken: no scope: Entra ID wants one resource, written {resource}/.default")
	}
	if err := checkClaims(req.Claims); err != nil {
		return key{}, err
	}
	if req.MinValidity < 0 {
		return key{}, fmt.Errorf("certtoken: MinValidity %v is negative", req.MinValidity)
	}
	if req.MinValidity > 0 && grant.once {
		return key{}, fmt.Errorf("certtoken: %s: MinValidity is for tokens that are cached", grant.name)
	}
	tenant := strings.ToLower(req.Tenant)
	if tenant == strings.ToLower(c.authority.tenant) {
		tenant = ""
	}
	if tenant != "" && !c.cfg.tenants[tenant] {
		if !c.cfg.anyTenant {
			return key{}, fmt.Errorf("certtoken: tenant %q is not allowed: name it in WithTenants", shorten(tenant))
		}
		if err := checkTenant(tenant); err != nil {
			return key{}, err
		}
	}
	return key{tenant: tenant, user: grant.user, scopes: scopes}, nil
}

// canonical splits scopes at spaces and drops duplicates. The order stays as
// given: it is sent so.
func canonical(scopes []string) ([]string, error) {
	list := make([]string, 0, len(scopes))
	length := 0
	for _, given := range scopes {
		for _, s := range strings.Fields(given) {
			if !isScopeToken(s) {
				return nil, fmt.Errorf("certtoken: scope %q has characters that no scope may have (RFC 6749 §3.3)", shorten(s))
			}
			if slices.Contains(list, s) {
				continue
			}
			if length += len(s); length > maxScopeText || len(list) >= maxScopes {
				return nil, fmt.Errorf("certtoken: more than %d scopes or %d bytes of them", maxScopes, maxScopeText)
			}
			list = append(list, s)
		}
	}
	return list, nil
}

func isScopeToken(s string) bool {
	return isVisibleASCII(s) && !strings.ContainsAny(s, `"\`)
}
