package certtoken

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Defaults that no option changes are where they are used.
const (
	defaultCacheLimit     = 100_000
	defaultUserCacheLimit = 10_000
	defaultExpiryWarning  = 30 * 24 * time.Hour
	defaultRequestLimit   = 30 * time.Second
	defaultMaxExchanges   = 32
)

// Option changes a [Client]. The zero value of everything is a good client.
type Option func(*config)

type config struct {
	http           *http.Client
	httpIsOurs     bool // it is closed with the client
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

// WithHTTPClient sends token requests through a copy of client: for a proxy,
// other root certificates, tracing. The copy follows no redirects and keeps no
// cookies. Its Transport is used as it is; where that is nil, the connections are those
// that clients without this option share. A RoundTripper that retries would send an assertion twice, which
// servers refuse: the Client retries by itself, with a new assertion.
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

// WithTenants allows further tenants in [Request.Tenant]; tenant names often
// come from strangers' requests. "*" allows any well-formed one.
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
// the program answers claims challenges, as [Client.Transport] does, and makes
// its tokens long-lived and revocable (continuous access evaluation).
func WithCapabilities(capabilities ...string) Option {
	return func(c *config) { c.capabilities = append(c.capabilities, capabilities...) }
}

// WithCacheLimit bounds the number of the client's own cached tokens; the default is 100,000, and
// less than 1 an error of [NewClient]. Beyond it the expired and then the least
// recently used leave.
func WithCacheLimit(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithCacheLimit: %d is less than 1", n)
		}
		c.cacheLimit = n
	}
}

// WithUserCacheLimit bounds the number of cached tokens on behalf of users
// ([OnBehalfOf]), which have a cache of their own; the default is 10,000, and less
// than 1 an error of [NewClient].
func WithUserCacheLimit(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithUserCacheLimit: %d is less than 1", n)
		}
		c.userCacheLimit = n
	}
}

// WithKeepWarm keeps the token for these scopes always renewed, from NewClient
// on and also while nobody asks, so that no caller waits for one; while the
// endpoint refuses or is down, it is tried again every 30 s. The tokens are
// those of the authority's own tenant. Give the
// option once for each set of scopes. Each takes one goroutine, which ends with
// [Client.Close].
func WithKeepWarm(scopes ...string) Option {
	return func(c *config) { c.keepWarm = append(c.keepWarm, scopes) }
}

// WithForegroundRenewal renews in the time of a caller instead of behind it: for
// processes that are frozen between requests, such as functions, where work in
// the background may never finish. A renewal that fails still gives the caller
// the token that is valid.
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

// maxRequestLimit keeps a part of the program that hangs from being waited for
// without end.
const maxRequestLimit = 10 * time.Minute

// WithPropagationRetry repeats a token request for so long while Entra ID refuses it
// as it does for some minutes after an app, a certificate or a federated credential
// was registered (AADSTS700016, 700027 and 700213). Callers wait for that long, also
// where the registration is really missing, so it is for programs that run right
// after a deployment, and off by default. The pauses grow from about 1 s to 10 s.
// The time is also the limit of the whole request if [WithRequestTimeouts] allows
// less. It counts from the first attempt's preparation on, so the time in which the
// request waits its turn counts too; see [WithMaxConcurrentExchanges]. Less than 0
// or more than 10 min is an error of [NewClient].
func WithPropagationRetry(d time.Duration) Option {
	return func(c *config) {
		if d < 0 || d > maxRequestLimit {
			c.fail("WithPropagationRetry: %v is not within 0 and %v", d, maxRequestLimit)
		}
		c.propagation = d
	}
}

// WithMaxConcurrentExchanges sets how many token requests the client has under way
// at once, 32 by default; the others wait their turn, first come first served. Fewer
// are for an endpoint or a proxy that allows fewer connections, more for a program
// that needs very many tokens at its start and has the processors to sign for them.
// Less than 1 is an error of [NewClient].
func WithMaxConcurrentExchanges(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("WithMaxConcurrentExchanges: %d is less than 1", n)
		}
		c.maxExchanges = n
	}
}

// WithExpiryWarning sets how long before its end a certificate is announced, by
// [Hooks.CertificateExpiring] and the log, whenever it signs and at most once a
// day. The default is 30 days; 0 or less turns it off.
func WithExpiryWarning(before time.Duration) Option {
	return func(c *config) { c.expiryWarning = before }
}

// WithHooks calls the functions of h on what happens. The option may be given
// several times.
func WithHooks(h Hooks) Option {
	return func(c *config) { c.hooks = append(c.hooks, h) }
}

// WithLogger logs what happens: trouble as warnings, requests as information,
// hits not at all. No secret is logged.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) {
		if log == nil {
			c.fail("WithLogger: nil logger")
			return
		}
		c.hooks = append(c.hooks, logHooks(log))
	}
}

// WithStore shares tokens with other processes through store. Entries are
// sealed with AES-256-GCM; their names tell nothing. The keys are secrets of 32
// bytes or more that all processes have: the first seals, all open. A new key is
// first put behind the old one in all processes, then before it, and the old one
// taken away when its tokens have ended. A store that fails is reported to the
// hooks and never fails a caller.
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
