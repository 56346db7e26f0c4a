package certtokentest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
)

// Defaults of a [Server].
const (
	DefaultTenant   = "contoso.onmicrosoft.com" // that Server.Authority names
	DefaultLifetime = 3599 * time.Second        // of a token; Entra ID's usual answer
	DefaultLeeway   = 2 * time.Second           // for an assertion's times: some clients round up
)

const (
	entraHost     = "login.microsoftonline.com" // that a server without a socket is addressed by
	genericOrigin = "https://issuer.example"    // and a generic one
)

// Option changes a [Server] from its defaults.
type Option func(*config)

// config is what a server is made with; what changes at run time is in tuning.
type config struct {
	issuer        string // generic: "" until the address is known
	generic       bool
	tenants       []string // empty: every well-formed one
	scopes        []string // empty: every well-formed one
	audiences     []string // accepted besides the dialect's own
	looseAudience bool
	algorithms    []string
	types         []string
	replay        bool
	opaque        bool
	tokenSize     int
	requestLimit  int
	tuning        tuning
	errs          []error
}

// tuning is what can be changed while the server runs.
type tuning struct {
	lifetime    time.Duration
	refreshIn   time.Duration
	expiresText bool
	tokenType   string
	granted     *string
	offset      time.Duration
	leeway      time.Duration
}

const (
	defaultTokenSize    = 1536
	defaultRequestLimit = 1000
)

func newConfig(opts []Option) (config, error) {
	c := config{
		tokenSize:    defaultTokenSize,
		requestLimit: defaultRequestLimit,
		tuning:       tuning{lifetime: DefaultLifetime, leeway: DefaultLeeway, tokenType: "Bearer"},
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	c.fillDialect()
	return c, errors.Join(c.errs...)
}

// fillDialect sets what the kind of server decides, where no option did.
func (c *config) fillDialect() {
	if c.algorithms == nil {
		c.algorithms = []string{"RS256", "RS384", "RS512", "PS256"} // those that Entra ID is known to take
		if c.generic {
			c.algorithms = append(c.algorithms, "PS384", "PS512")
		}
	}
	if c.types == nil {
		c.types = []string{"JWT"}
		if c.generic {
			c.types = append(c.types, "client-authentication+jwt", "") // widespread clients send none
		}
	}
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("certtokentest: "+format, args...))
}

// WithIssuer makes the server an authorization server by RFC 6749 and RFC 7523
// instead of a tenant of Entra ID. The assertion's audience must be the issuer,
// and errors are RFC 6749's. An empty issuer stands for the server's own
// address.
func WithIssuer(issuer string) Option {
	return func(c *config) {
		c.generic = true
		c.issuer = strings.TrimSuffix(issuer, "/")
		if issuer == "" {
			return
		}
		if u, err := url.Parse(issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			c.fail("issuer %q is not an https URL without query and fragment (RFC 8414 §2)", issuer)
		}
	}
}

// WithTenants names the tenants that exist; every other is AADSTS90002. The
// first is the one that [Server.Authority] names. By default every GUID and
// every domain is a tenant.
func WithTenants(tenants ...string) Option {
	return func(c *config) {
		c.tenants = append(c.tenants, tenants...)
		for _, tenant := range tenants {
			if !isTenant(tenant) {
				c.fail("tenant %q is neither a GUID nor a domain", tenant)
			}
		}
	}
}

// WithScopes names the scopes that are granted, for Entra ID in the form
// {resource}/.default; every other is refused. By default every one is granted
// that is well-formed.
func WithScopes(scopes ...string) Option {
	return func(c *config) { c.scopes = append(c.scopes, scopes...) }
}

// WithAudiences accepts these audiences of an assertion besides the dialect's
// own, which is the very URL that was called for Entra ID, and the issuer
// elsewhere.
func WithAudiences(audiences ...string) Option {
	return func(c *config) { c.audiences = append(c.audiences, audiences...) }
}

// WithLooseAudience accepts, with [WithIssuer], what RFC 7523 §3 allows an audience
// to be and many clients send: the URL of the token endpoint, and a list of this
// and the issuer. By default the audience must be the issuer alone, as FAPI 2.0
// demands.
func WithLooseAudience() Option { return func(c *config) { c.looseAudience = true } }

// WithAlgorithms sets which signature algorithms are accepted. By default those
// that Entra ID is known to take (RS256, RS384, RS512, PS256); with
// [WithIssuer] also PS384 and PS512.
func WithAlgorithms(algorithms ...certtoken.Algorithm) Option {
	return func(c *config) {
		c.algorithms = []string{}
		for _, alg := range algorithms {
			c.algorithms = append(c.algorithms, string(alg))
			if !slices.Contains(knownAlgorithms, string(alg)) {
				c.fail("unknown algorithm %q", string(alg))
			}
		}
	}
}

var knownAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// WithAssertionTypes sets which values of an assertion's typ header are
// accepted, compared without case; an empty one stands for none at all. By
// default JWT; with [WithIssuer] also client-authentication+jwt and none.
func WithAssertionTypes(types ...string) Option {
	return func(c *config) { c.types = append([]string{}, types...) }
}

// WithReplayAllowed accepts whatever was sent before. By default a server of
// [WithIssuer] takes an assertion once, as RFC 7523 §3 lets it and many do. Entra
// ID's endpoint takes it in another request too, since MSAL for Node and for
// Python send one for as long as it is valid; the same request, with the same
// client-request-id, is refused: something replayed it.
func WithReplayAllowed() Option { return func(c *config) { c.replay = true } }

// WithOpaqueTokens grants random tokens instead of signed JWTs. That saves an
// RSA signature for each.
func WithOpaqueTokens() Option { return func(c *config) { c.opaque = true } }

// WithTokenSize sets the least length of an access token in bytes, by default
// 1536. A JWT is filled up to it, an opaque token has it exactly.
func WithTokenSize(n int) Option {
	return func(c *config) {
		c.tokenSize = n
		if n < 0 || n > 64<<10 {
			c.fail("token size %d is not within 0 and 64 KiB", n)
		}
	}
}

// WithRequestLimit sets how many requests [Server.Requests] remembers, by
// default 1,000.
func WithRequestLimit(n int) Option {
	return func(c *config) {
		c.requestLimit = n
		if n < 1 {
			c.fail("request limit %d is not positive", n)
		}
	}
}

// WithTokenLifetime sets how long a token is valid, in whole seconds; by default
// [DefaultLifetime]. [Server.SetLifetime] changes it later.
func WithTokenLifetime(d time.Duration) Option {
	return func(c *config) { c.tuning.lifetime = d }
}

// WithRefreshIn sends refresh_in, the time after which a token should be
// renewed, in whole seconds. 0 sends none.
func WithRefreshIn(d time.Duration) Option {
	return func(c *config) { c.tuning.refreshIn = d }
}

// WithExpiresInString sends expires_in as a JSON string, as some servers do.
func WithExpiresInString() Option {
	return func(c *config) { c.tuning.expiresText = true }
}

// WithTokenType sets token_type, which some servers write in lower case.
func WithTokenType(typ string) Option {
	return func(c *config) { c.tuning.tokenType = typ }
}

// WithGrantedScope sets the scope of every response, whatever was asked for. An
// empty one is sent as an empty string.
func WithGrantedScope(scope string) Option {
	return func(c *config) { c.tuning.granted = &scope }
}

// WithClockOffset sets the server's clock ahead of the machine's, or with a
// negative offset behind: its Date header, its checks and its tokens.
// [Server.SetClockOffset] changes it later.
func WithClockOffset(d time.Duration) Option {
	return func(c *config) { c.tuning.offset = d }
}

// WithLeeway sets by how much an assertion's times may be off; by default
// [DefaultLeeway].
func WithLeeway(d time.Duration) Option {
	return func(c *config) {
		c.tuning.leeway = d
		if d < 0 {
			c.fail("leeway %v is negative", d)
		}
	}
}
