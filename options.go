package certtoken

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
)

// The defaults of options. Numbers that no option changes stand in the files that use them.
const (
	defaultCacheLimit     = 100_000
	defaultUserCacheLimit = 10_000
	bytesForEach          = 8 << 10 // that a cache may hold on average, so that large tokens don't fill the memory
	leastBytes            = 8 << 20 // that a cache may hold, if it is for few tokens: some of the largest
	defaultExpiryWarning  = 30 * 24 * time.Hour
	defaultRequestLimit   = 30 * time.Second
	defaultMaxExchanges   = 32
)

// Option changes a setting of a [Client]. None is needed: the defaults suit most programs.
type Option func(*config)

type config struct {
	http           *http.Client
	ownTransport   http.RoundTripper // nil, or a transport that belongs to the client; then http is nil
	userAgent      string
	tenants        map[string]bool
	anyTenant      bool
	capabilities   []string
	cacheLimit     int
	userCacheLimit int
	keepWarm       [][]string
	foreground     bool
	attemptLimit   time.Duration
	requestLimit   time.Duration
	maxExchanges   int
	propagation    time.Duration
	expiryWarning  time.Duration
	hooks          []Hooks
	store          Store
	storeKeys      [][]byte
	environment    []AuthorityOption // for the authority that ClientFromEnvironment makes
	errs           []error
}

func newConfig(opts []Option) config {
	cfg := config{
		cacheLimit: defaultCacheLimit, userCacheLimit: defaultUserCacheLimit, expiryWarning: defaultExpiryWarning,
		attemptLimit: exchange.AttemptLimit, requestLimit: defaultRequestLimit, maxExchanges: defaultMaxExchanges,
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *config) validate() error { return errors.Join(c.errs...) }

// connections are those of the client's token requests.
func (c *config) connections() *connections.Lease {
	if c.ownTransport != nil {
		return connections.Own(c.ownTransport)
	}
	return connections.Take(c.http, c.maxExchanges)
}

// WithHTTPClient sends token requests through a copy of client. It is for a proxy, other
// root certificates or tracing. The copy follows no redirects and keeps no cookies. Its
// Transport is used as it is. If that is nil, the connections are those that clients
// without this option share. Don't give a RoundTripper that retries: it would send an
// assertion twice, which servers refuse. The Client retries by itself, with a new
// assertion.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) {
		if client == nil {
			c.fail("WithHTTPClient: nil client")
		}
		c.http = client
	}
}

// WithUserAgent puts the name of a program, such as "billing/1.4", before the
// library's in the User-Agent of token requests.
func WithUserAgent(program string) Option {
	return func(c *config) {
		for i := range len(program) {
			if program[i] < ' ' || program[i] > '~' {
				c.fail("WithUserAgent: %q is not printable ASCII", redact.Short(program))
				return
			}
		}
		c.userAgent = program
	}
}

// WithTenants allows further tenants in [Request.Tenant]. They must be named, because a
// tenant often comes from a request of somebody unknown. "*" allows every well-formed
// name.
func WithTenants(tenants ...string) Option {
	return func(c *config) {
		for _, t := range tenants {
			if t == "*" {
				c.anyTenant = true
				continue
			}
			if err := syntax.CheckTenant(t); err != nil {
				c.errs = append(c.errs, err)
				continue
			}
			if c.tenants == nil {
				c.tenants = make(map[string]bool)
			}
			c.tenants[strings.ToLower(t)] = true
		}
	}
}

// WithCapabilities declares client capabilities to Entra ID. "cp1" says that
// the program answers claims challenges, as a [Transport] does, and makes
// its tokens long-lived and revocable (continuous access evaluation).
func WithCapabilities(capabilities ...string) Option {
	return func(c *config) { c.capabilities = append(c.capabilities, capabilities...) }
}

// WithCacheLimit bounds the number of the client's own cached tokens. The default is
// 100,000; less than 1 is an error of [NewClient]. When there are more, expired tokens are
// removed first, then the least recently used. That order is not exact: between two
// tokens it may err while fewer than n/32 new ones came between their last uses. Tokens of
// [WithKeepWarm] stay. Tokens also leave when all of them together take more than 8 KiB
// for each of n, or 8 MiB if that is more, so that very large ones don't fill the memory.
func WithCacheLimit(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithCacheLimit: %d is less than 1", n)
		}
		c.cacheLimit = n
	}
}

// WithUserCacheLimit bounds the number of cached tokens on behalf of users
// ([OnBehalfOf]), which have a cache of their own. The default is 10,000; less than 1 is
// an error of [NewClient]. Bytes are bounded as by [WithCacheLimit]: with the default,
// all tokens of users together take at most 80 MiB, however large each one is.
func WithUserCacheLimit(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithUserCacheLimit: %d is less than 1", n)
		}
		c.userCacheLimit = n
	}
}

// WithKeepWarm acquires a token for these scopes at once and renews it also while no caller
// asks for it, so that no caller waits. While the endpoint refuses or is down, it is
// tried again every 30 s. The token is one of the authority's own tenant. Give the
// option once for each set of scopes. Each takes one goroutine, which ends with
// [Client.Close].
func WithKeepWarm(scopes ...string) Option {
	return func(c *config) { c.keepWarm = append(c.keepWarm, scopes) }
}

// WithForegroundRenewal lets a caller wait for a renewal, in place of renewing in the
// background. It is for processes that are frozen between requests, such as functions,
// where work in the background may never finish. When the renewal fails, the caller
// still gets the token that is valid.
func WithForegroundRenewal() Option {
	return func(c *config) { c.foreground = true }
}

// WithRequestTimeouts sets how long one attempt of a token request may take, 10 s
// by default, and how long the whole request with its attempts and the pauses
// between them, 30 s by default. It is for an endpoint or a signer that is known to
// be slow, or for callers that must fail early. Each must be more than 0, the whole
// at least as long as an attempt and at most 10 min; anything else is an error of
// [NewClient]. The time in which a request waits for others doesn't count; see
// [WithMaxConcurrentExchanges].
func WithRequestTimeouts(attempt, whole time.Duration) Option {
	return func(c *config) {
		if attempt <= 0 || whole < attempt || whole > maxRequestLimit {
			c.fail("WithRequestTimeouts: %v for an attempt and %v for the request: want 0 < attempt <= request <= %v",
				attempt, whole, maxRequestLimit)
		}
		c.attemptLimit, c.requestLimit = attempt, whole
	}
}

// maxRequestLimit bounds how long a part of the program that hangs is waited for.
const maxRequestLimit = 10 * time.Minute

// WithPropagationRetry repeats a token request for up to d while Entra ID refuses it
// with a code that comes and goes for some minutes after an app, a certificate or a
// federated credential was registered (AADSTS700016, 700027 and 700213). It is off by
// default, because callers wait for all of d where the registration is really missing.
// Use it for programs that start right after a deployment. The pauses grow from about
// 1 s to 10 s. If d is longer than what [WithRequestTimeouts] allows for the whole
// request, d is the limit. It counts from the first attempt's preparation on, so the time
// in which the request waits its turn counts too; see [WithMaxConcurrentExchanges]. Less
// than 0 or more than 10 min is an error of [NewClient].
func WithPropagationRetry(d time.Duration) Option {
	return func(c *config) {
		if d < 0 || d > maxRequestLimit {
			c.fail("WithPropagationRetry: %v is not within 0 and %v", d, maxRequestLimit)
		}
		c.propagation = d
	}
}

// WithMaxConcurrentExchanges sets how many token requests the client has under way
// at once, 32 by default. The others wait their turn, first come first served. Give a
// smaller number for an endpoint or a proxy that allows fewer connections, and a larger
// one for a program that needs very many tokens at its start and has enough processors
// to sign for them. Without [WithHTTPClient] as many unused connections are kept. Less
// than 1 is an error of [NewClient].
func WithMaxConcurrentExchanges(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithMaxConcurrentExchanges: %d is less than 1", n)
		}
		c.maxExchanges = n
	}
}

// WithExpiryWarning sets how long before the end of a certificate
// [Hooks.CertificateExpiring] and the log announce it. They do so when it signs, at most
// once a day. The default is 30 days; 0 or less turns it off.
func WithExpiryWarning(before time.Duration) Option {
	return func(c *config) { c.expiryWarning = before }
}

// WithHooks calls the functions of h on what happens. The option may be given
// several times.
func WithHooks(h Hooks) Option {
	return func(c *config) { c.hooks = append(c.hooks, h) }
}

// WithLogger logs what happens: failures as warnings, a part of the program that hangs
// as an error, requests as information, and tokens from the cache not at all. No secret
// is logged.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) {
		if log == nil {
			c.fail("WithLogger: nil logger")
			return
		}
		c.hooks = append(c.hooks, logHooks(log))
	}
}

// WithAuthorityOptions gives options to the authority that [ClientFromEnvironment] makes of
// the variables, after those that the variables stand for. Elsewhere it is an error: give
// them to [Entra] or another function that makes the authority.
func WithAuthorityOptions(opts ...AuthorityOption) Option {
	return func(c *config) { c.environment = append(c.environment, opts...) }
}

// WithStore shares tokens with other processes through store. Entries are sealed with
// AES-256-GCM, and their names show nothing of what they hold. The keys are secrets of
// 32 bytes or more that all processes have. The first key seals, and each of them
// opens. To change the key, first list the new one after the old one in all processes, then
// before it, and leave the old one out when its tokens have ended. When the store
// fails, the hooks and the log say so, and no caller gets an error. Tokens of [WithDPoP] are
// not stored: other processes don't have their key.
func WithStore(store Store, keys ...[]byte) Option {
	return func(c *config) {
		if store == nil {
			c.fail("WithStore: nil store")
		}
		if len(keys) == 0 {
			c.fail("WithStore: no key: give a secret of at least %d bytes, the same in all processes", seal.MinSecret)
		}
		for _, key := range keys {
			if len(key) < seal.MinSecret {
				c.fail("WithStore: a key has %d bytes, must have at least %d", len(key), seal.MinSecret)
			}
		}
		c.store, c.storeKeys = store, keys
	}
}
