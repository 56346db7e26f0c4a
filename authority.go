package certtoken

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// The times of assertions for servers that aren't Entra ID. Some refuse an exp that
// is more than 300 s away, Keycloak an iat that is more than 60 s old, others one
// that is a few seconds ahead. An assertion is made for one request, so a minute is
// enough, and 30 s cover the drift of a clock that is set now and then; beyond that
// the server's clock is followed.
const (
	genericLifetime = time.Minute
	genericBackdate = 30 * time.Second
)

// Authority is a token endpoint and the dialect of client assertion that it
// takes. Make one with [Entra] or one of its variants, with [ADFS], [Issuer] or
// [Discover]. [NewClient] reports what is wrong with it. An Authority is read-only
// and may be used from many goroutines. Its fields are not exported: if the endpoint
// could be changed without the audience, one server would be sent an assertion that
// is valid at another.
type Authority struct {
	host      string // of Entra ID, where the URL is made of it and the tenant; "" for other servers
	cloud     *cloud // of the host that the constructor or WithHost named; nil for other servers
	tenant    string
	policy    string // of B2C
	oneTenant bool   // the host serves this tenant alone
	region    string

	tokenURL string
	mtlsURL  string // where clients with TLS certificates go; "": tokenURL
	issuer   string // the audience, unless WithAudience says otherwise; "": the token URL is
	audience string

	assertion    Assertion // the dialect: everything but client and audience
	algorithms   algorithms
	adfs         bool
	keyID        func(*Certificate) string
	pssFallback  bool
	loopbackHTTP bool
	grantOnly    bool // the grant's assertion proves everything: there is no client authentication
	tlsAuth      bool // the certificate in the TLS handshake proves the client, without an assertion
	tlsBound     bool // the certificate is presented in TLS, and an assertion is sent too
	pop          bool // Entra ID's bound tokens
	tlsBearer    bool // Entra ID is shown the certificate in TLS beside the proof, for tokens bound to nothing
	dpop         bool // tokens are bound to a key by proofs (RFC 9449)
	noPSS        bool // the signer can't do RSASSA-PSS
	anyTokenType bool // a token type of an unknown name means Bearer
	assumedLife  time.Duration
	proofAlgs    []string     // of DPoP proofs, as the server's metadata list them; nil: no list
	params       url.Values   // of every token request's form
	query        url.Values   // and of its URL
	discovery    *http.Client // that Discover asks with; nil: the shared connections
	errs         []error
}

// AuthorityOption changes how an [Authority] is addressed: for servers that
// want something else than the default.
type AuthorityOption func(*Authority)

// Entra is Microsoft Entra ID's public cloud. The tenant is given by its GUID or by
// one of its domains. A client that acts as itself can't use common, organizations
// or consumers. Assertions are signed with PS256, carry x5t#S256 and live for 5 min.
// Their nbf and iat are set back by 2 min, and their audience is the token endpoint. Entra
// ID takes certificates with RSA keys only: others are [ErrNotRSA], and a key without a
// certificate is [ErrNoCertificate].
func Entra(tenant string, opts ...AuthorityOption) Authority {
	return newEntra(hostEntra, tenant, opts)
}

// EntraUSGov is Entra ID's cloud for the US Government; see [Entra].
func EntraUSGov(tenant string, opts ...AuthorityOption) Authority {
	return newEntra(hostEntraUSGov, tenant, opts)
}

// EntraChina is Entra ID's cloud in China, operated by 21Vianet; see [Entra].
func EntraChina(tenant string, opts ...AuthorityOption) Authority {
	return newEntra(hostEntraChina, tenant, opts)
}

// ADFS is an Active Directory Federation Services server. It is named by its host,
// with the port where that isn't 443. Assertions are signed with RS256 and carry
// x5t, the only form that it takes. They have the same times as those of [Entra], and are
// signed by the same certificates.
func ADFS(host string, opts ...AuthorityOption) Authority {
	name, err := syntax.Host(host)
	a := Authority{
		adfs:       true,
		tokenURL:   "https://" + name + "/adfs/oauth2/token",
		assertion:  Assertion{Thumbprint: ThumbprintSHA1},
		algorithms: algorithms{forRSA: RS256},
	}
	if err != nil {
		a.tokenURL = ""
		a.fail("ADFS host %q: give the host name only, with a port where it isn't 443: %w", redact.Short(host), err)
	}
	return a.finish(opts)
}

// Issuer is any authorization server that takes client assertions by RFC 7523. It is
// named by its issuer identifier, as its metadata states it, and its token endpoint.
// Assertions are signed with RS256 by RSA keys, by EC keys with the algorithm of their
// curve, by Ed25519 keys with EdDSA ([WithAlgorithm]). They live for a minute. Their audience is
// the issuer and their typ is client-authentication+jwt, as draft-ietf-oauth-rfc7523bis
// asks; [WithAudience] and [WithAssertionType] are for servers that follow the older
// custom. Their nbf and iat are set back by 30 s ([WithBackdate]).
//
// When the server refuses the client, and its Date header differs from this machine's
// clock by more than 5 s and at most 5 min, the request is repeated once with an
// assertion that has the server's time, and later assertions have it too.
func Issuer(issuer, tokenURL string, opts ...AuthorityOption) Authority {
	a := Authority{
		issuer:   issuer,
		tokenURL: tokenURL,
		assertion: Assertion{
			Lifetime: genericLifetime,
			Backdate: genericBackdate,
			Type:     "client-authentication+jwt",
		},
		algorithms: algorithms{forRSA: RS256},
	}
	if issuer == "" {
		a.fail("no issuer: it is the audience of the assertion")
	}
	if tokenURL == "" {
		a.fail("no token endpoint")
	}
	return a.finish(opts)
}

// EntraB2C is an Azure AD B2C tenant: its name, which is the first part of its
// onmicrosoft.com domain, and a policy (user flow). See [Entra]; a custom domain
// is given by [WithHost].
func EntraB2C(name, policy string, opts ...AuthorityOption) Authority {
	a := ownHost(name, "b2clogin.com")
	a.policy = policy
	if !syntax.IsPolicy(policy) {
		a.fail("policy %q is not the name of a user flow", redact.Short(policy))
	}
	return a.finish(opts)
}

// EntraExternalID is a tenant of Microsoft Entra External ID: its name, which is
// the first part of its onmicrosoft.com domain. See [Entra]; a custom domain is
// given by [WithHost].
func EntraExternalID(name string, opts ...AuthorityOption) Authority {
	return ownHost(name, "ciamlogin.com").finish(opts)
}

// ownHost is a tenant whose host serves no other tenant.
func ownHost(name, domain string) Authority {
	a := Authority{host: name + "." + domain, cloud: anyCloud, tenant: name + ".onmicrosoft.com", oneTenant: true}
	if !syntax.IsLabel(name) {
		a.fail("tenant %q: give the first part of its onmicrosoft.com domain", redact.Short(name))
	}
	return a
}

func newEntra(host, tenant string, opts []AuthorityOption) Authority {
	a := Authority{host: host, cloud: cloudOf(host), tenant: tenant}
	if err := syntax.CheckTenant(tenant); err != nil {
		a.errs = append(a.errs, err)
	}
	return a.finish(opts)
}

// finish applies the options and then, for an Entra authority, makes its URL.
func (a Authority) finish(opts []AuthorityOption) Authority {
	for _, opt := range opts {
		if opt != nil {
			opt(&a)
		}
	}
	if a.algorithms.fapi && (a.host != "" || a.adfs) {
		a.fail("WithFAPI is for servers that follow that profile; Entra ID and ADFS don't")
	}
	if a.tlsAuth && a.host != "" {
		a.fail("WithTLSClientAuth is for servers by RFC 8705; with Entra ID it is WithMTLSPoP")
	}
	if a.dpop && a.product() != "" {
		a.fail("WithDPoP is for servers by RFC 9449, and %s isn't one; WithMTLSPoP binds Entra ID's tokens", a.product())
	}
	switch {
	case a.grantOnly && (a.host != "" || a.adfs):
		a.fail("WithoutClientAuthentication: %s always wants the client's own proof", a.product())
	case a.grantOnly && a.presents():
		a.fail("WithoutClientAuthentication and a certificate in TLS exclude each other")
	}
	switch {
	case a.tlsBearer && (a.pop || a.tlsBound):
		a.fail("WithMTLSBearer is for tokens that are bound to nothing: leave it out or the option that binds them")
	case a.pop:
		a.moveToMTLS("WithMTLSPoP")
	case a.tlsBearer:
		a.moveToMTLS("WithMTLSBearer")
	case a.region != "" && (a.oneTenant || a.cloud != clouds[0] || cloudOf(a.host) == nil):
		a.fail("WithRegion is for Entra ID's public cloud; WithHost names any host")
	case a.region != "":
		a.host = a.region + "." + hostRegional
	}
	if a.host != "" && len(a.errs) == 0 {
		a.tokenURL = a.entraURL(a.tenant)
	}
	return a
}

func (a Authority) entraURL(tenant string) string {
	if a.policy != "" {
		tenant += "/" + a.policy
	}
	return "https://" + a.host + "/" + tenant + "/oauth2/v2.0/token"
}

// endpoint is the URL that token requests go to.
func (a Authority) endpoint() string {
	endpoint := a.tokenURL
	if a.presents() && a.mtlsURL != "" {
		endpoint = a.mtlsURL
	}
	switch {
	case len(a.query) == 0:
		return endpoint
	case strings.Contains(endpoint, "?"):
		return endpoint + "&" + a.query.Encode()
	}
	return endpoint + "?" + a.query.Encode()
}

func (a *Authority) fail(format string, args ...any) {
	a.errs = append(a.errs, fmt.Errorf("authority: "+format, args...))
}

// validate reports everything that is wrong with the authority.
func (a Authority) validate() error {
	errs := a.errs
	if a.tokenURL == "" && len(errs) == 0 {
		errs = append(errs, errors.New("authority: make one with Entra, ADFS or Issuer"))
	}
	if a.discovery != nil {
		errs = append(errs, errors.New("authority: WithDiscoveryClient is for Discover; the client's is WithHTTPClient"))
	}
	if a.tokenURL != "" {
		errs = append(errs, syntax.CheckEndpoint("token endpoint", a.tokenURL, a.loopbackHTTP))
	}
	if len(a.assertion.Claims) > 0 && !a.asserts() {
		errs = append(errs, errors.New(
			"authority: WithAssertionClaims is for assertions, and none of the client is sent here"))
	}
	if alg := string(a.assertion.Algorithm); a.product() != "" && jws.Known(alg) && !jws.IsForRSA(alg) {
		errs = append(errs, fmt.Errorf("authority: %s takes RSA keys only, and %s is for others", a.product(), alg))
	}
	if _, err := a.proofAlgorithm(); err != nil {
		errs = append(errs, err)
	}
	probe := a.assertion
	probe.ClientID, probe.Audience = "probe", "probe"
	errs = append(errs, probe.withDefaults().validate())
	return errors.Join(errs...)
}

// forTenant is the authority of another tenant of the same cloud.
func (a Authority) forTenant(tenant string) (Authority, error) {
	if tenant == "" || tenant == a.tenant {
		return a, nil
	}
	if !a.hasTenants() {
		return a, errors.New("only an Entra authority has tenants")
	}
	if err := syntax.CheckTenant(tenant); err != nil {
		return a, err
	}
	a.tenant, a.tokenURL = tenant, a.entraURL(tenant)
	return a, nil
}

// hasTenants reports whether other tenants are reached at the same host.
func (a Authority) hasTenants() bool { return a.host != "" && !a.oneTenant }

// product is the product that takes nothing but certificates with RSA keys, or "".
func (a Authority) product() string {
	switch {
	case a.host != "":
		return "Entra ID"
	case a.adfs:
		return "ADFS"
	}
	return ""
}

// mayBeClock reports whether the assertion's times can be the cause of a refusal. Entra
// ID has a code for that; other servers say only that they refuse the client.
func (a Authority) mayBeClock(why *TokenError) bool {
	return why.blamesClock() || a.host == "" && why.mayBlameClock()
}

// clockLimits are the bounds between which the endpoint's clock is followed. A
// difference up to tolerance isn't the cause of a refusal. Entra ID says when the times
// are wrong, so it has no limit; for other servers a difference beyond limit is taken
// for a wrong Date header.
func (a Authority) clockLimits() (tolerance, limit time.Duration) {
	if a.host != "" {
		return 30 * time.Second, math.MaxInt64
	}
	return 5 * time.Second, 5 * time.Minute
}

// federatedAudience is the audience that an assertion from elsewhere must have, or ""
// for a cloud whose audience isn't known.
func (a Authority) federatedAudience() string {
	switch {
	case a.audience != "":
		return a.audience
	case a.host != "":
		return a.cloud.exchange
	case a.issuer != "":
		return a.issuer
	}
	return a.tokenURL
}

// checkScopes are the scopes that Client.Check asks for when it is given none. Entra ID
// grants every app a token for Microsoft Graph.
func (a Authority) checkScopes() []string {
	if a.host == "" || a.cloud.graph == "" {
		return nil
	}
	return []string{a.cloud.graph + "/.default"}
}

// typeMTLSPoP is the type, and the Authorization scheme, of such a token.
const typeMTLSPoP = "mtls_pop"

// presents reports whether the certificate is shown to the token endpoint in TLS handshakes.
func (a Authority) presents() bool { return a.binds() || a.tlsBearer }

// binds reports whether tokens are bound to the certificate.
func (a Authority) binds() bool { return a.tlsAuth || a.tlsBound || a.pop }

// forBoundLeg is the authority as it is asked for a token that is bound to the certificate,
// where other tokens are bound to nothing.
func (a Authority) forBoundLeg() Authority {
	a.pop, a.tlsBearer = true, false
	return a
}

// proofAlgorithm is that of DPoP proofs. The error says that none is known of those that
// the server lists.
func (a Authority) proofAlgorithm() (string, error) {
	if !a.dpop {
		return "", nil
	}
	alg, err := dpop.Choose(a.proofAlgs)
	if err != nil {
		return "", fmt.Errorf("WithDPoP: the server takes proofs by %s: %w",
			redact.Text(strings.Join(a.proofAlgs, ", "), 4*redact.MaxShort), err)
	}
	return alg, nil
}

// asserts reports whether token requests carry an assertion.
func (a Authority) asserts() bool { return !a.tlsAuth && !a.pop && !a.grantOnly }

// moveToMTLS moves an Entra authority to the host for certificates in TLS, for an option.
func (a *Authority) moveToMTLS(option string) {
	host, err := mtlsHost(a.host, a.region, a.oneTenant)
	if err != nil {
		a.fail("%s %w", option, err)
		return
	}
	a.host = host
}
