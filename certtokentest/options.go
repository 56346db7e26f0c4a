package certtokentest

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
	"github.com/certtoken/certtoken/internal/jws"
)

// Option changes a [Server] from its defaults.
type Option func(*config)

func newConfig(opts []Option) (config, error) {
	c := config{
		tokenSize:    defaultTokenSize,
		requestLimit: defaultRequestLimit,
		keyID:        proof.KeyIDKnown,
		times:        proof.Times{Leeway: DefaultLeeway},
		tuning:       tuning{lifetime: DefaultLifetime, tokenType: "Bearer"},
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	c.fillDialect()
	return c, errors.Join(c.errs...)
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
		u, err := url.Parse(issuer)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
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
		for _, name := range tenants {
			if !tenant.Valid(name) {
				c.fail("tenant %q is neither a GUID nor a domain", name)
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
// that Entra ID is known to take (RS256, RS384, RS512, PS256); with [WithIssuer] all
// that certtoken knows. Entra ID takes RSA keys only, so others need [WithIssuer].
func WithAlgorithms(algorithms ...certtoken.Algorithm) Option {
	return func(c *config) {
		c.algorithms = []string{}
		for _, alg := range algorithms {
			if !jws.Known(string(alg)) {
				c.fail("unknown algorithm %q", string(alg))
				continue
			}
			c.algorithms = append(c.algorithms, string(alg))
		}
	}
}

// WithAssertionTypes sets which values of an assertion's typ header are
// accepted, compared without case; an empty one stands for none at all. By
// default JWT and none; with [WithIssuer] also client-authentication+jwt.
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

// WithoutDate sends no Date header, as Keycloak and other minimal servers do: a client
// can't tell then that its clock is off.
func WithoutDate() Option { return func(c *config) { c.noDate = true } }

// WithLeeway sets by how much an assertion's times may be off; by default
// [DefaultLeeway]. See [WithTimeLimits] for limits on its age and its life.
func WithLeeway(d time.Duration) Option {
	return func(c *config) {
		c.times.Leeway = d
		if d < 0 {
			c.fail("leeway %v is negative", d)
		}
	}
}

// TimeLimits bound the times of an assertion. [WithLeeway] adds to each of them.
type TimeLimits struct {
	MaxAge       time.Duration // since iat; 0: any. Without iat, exp may be this far ahead
	MaxLife      time.Duration // until exp; 0: a day
	NeedIssuedAt bool          // an assertion without iat is refused
}

// WithTimeLimits bounds an assertion's times as many servers do: an iat that is
// older than MaxAge is refused whatever exp says (Keycloak: 60 s), and an exp that
// is further ahead than MaxLife (Better Auth: 300 s; go-oidc: 600 s). By default
// exp may be a day ahead and iat as old as it likes.
func WithTimeLimits(limits TimeLimits) Option {
	return func(c *config) {
		c.times.MaxAge, c.times.MaxLife, c.times.NeedIssuedAt = limits.MaxAge, limits.MaxLife, limits.NeedIssuedAt
		if limits.MaxAge < 0 || limits.MaxLife < 0 {
			c.fail("time limits %v and %v: neither may be negative", limits.MaxAge, limits.MaxLife)
		}
	}
}

// WithRefusalForm sets how refusals are written, whatever they are for.
// [Server.SetRefusalForm] changes it later, and [Fault] for one request.
func WithRefusalForm(form RefusalForm) Option {
	return func(c *config) { c.tuning.form = form }
}

// WithoutRefreshRotation answers a refresh token without a new one, and takes it
// again, as Google does (RFC 6749 §6). By default each answer brings a new one;
// with [WithIssuer] the one before is used up then.
func WithoutRefreshRotation() Option { return func(c *config) { c.keepRefresh = true } }

// WithGrantOnly takes, with [WithIssuer], the assertion of a JWT bearer grant (RFC 7523
// §2.1) without any proof of the client beside it, as Salesforce, DocuSign and Google do.
// Without a sub, the token is for the client itself. By default the client must prove
// itself too.
func WithGrantOnly() Option { return func(c *config) { c.grantOnly = true } }

// WithReuseDetection revokes, when a refresh token comes that was used up, all that came
// for it: the refresh tokens and the access tokens (RFC 9700 §4.14.2). By default the one
// request is refused. Entra ID's refresh tokens may come again, so it makes a difference
// with [WithIssuer] only.
func WithReuseDetection() Option { return func(c *config) { c.reuse = true } }

// WithClientCertificates takes certificates in TLS as proof (RFC 8705), and says
// so in the metadata, where the server is the handler of an http.Server of the
// caller's whose TLS asks for them. A server with a socket of its own does it
// anyway.
func WithClientCertificates() Option { return func(c *config) { c.clientCerts = true } }

// WithTLSNames adds hosts and IP addresses to the certificate of [Start] and
// [NewServer]. It always holds localhost, the loopback addresses and the name that
// a client asks for in its handshake.
func WithTLSNames(names ...string) Option {
	return func(c *config) {
		c.tlsNames = append(c.tlsNames, names...)
		if slices.Contains(names, "") {
			c.fail("a name for the certificate is empty")
		}
	}
}

// WithTLSFailures calls a function for each TLS handshake that fails at the socket
// of [Start] or [NewServer]: with the client's address and the reason, such as a
// client that doesn't trust the CA. It is called from many goroutines.
func WithTLSFailures(report func(remote string, err error)) Option {
	return func(c *config) { c.tlsFailure = report }
}

// WithDPoP makes a server of [WithIssuer] bind a token to the key of the proof that came
// with its request (DPoP, RFC 9449). A [Resource] takes such a token only with a proof of the
// same key for the very request: signature, method, URL, time and token are checked, and
// each proof is taken once. A request without a proof brings a Bearer token, as long as
// the rules don't require one. Without this option a proof is ignored, as by servers that
// don't know DPoP.
func WithDPoP(rules DPoPRules) Option {
	return func(c *config) {
		if rules.Past < 0 || rules.Future < 0 {
			c.fail("DPoP rules: %v and %v: neither may be negative", rules.Past, rules.Future)
		}
		for _, alg := range rules.Algorithms {
			if !jws.Known(string(alg)) {
				c.fail("DPoP rules: unknown algorithm %q", string(alg))
			}
		}
		c.dpop = &rules
	}
}
