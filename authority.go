package certtoken

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

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
	keyID        func(*Certificate) string
	pssFallback  bool
	loopbackHTTP bool
	tlsAuth      bool // the certificate in the TLS handshake proves the client, without an assertion
	tlsBound     bool // the certificate is presented in TLS, and an assertion is sent too
	pop          bool // Entra ID's bound tokens
	noPSS        bool // the signer can't do RSASSA-PSS
	anyTokenType bool // a token type of an unknown name means Bearer
	assumedLife  time.Duration
	params       url.Values // of every token request's form
	query        url.Values // and of its URL
	errs         []error
}

// AuthorityOption changes how an [Authority] is addressed: for servers that
// want something else than the default.
type AuthorityOption func(*Authority)

// Entra is Microsoft Entra ID's public cloud. The tenant is given by its GUID or by
// one of its domains. A client that acts as itself can't use common, organizations
// or consumers. Assertions are signed with PS256, carry x5t#S256 and live for 5 min.
// Their nbf and iat are set back by 2 min, and their audience is the token endpoint.
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
// x5t, the only form that it takes. They have the same times as those of [Entra].
func ADFS(host string, opts ...AuthorityOption) Authority {
	name, err := syntax.Host(host)
	a := Authority{
		tokenURL:  "https://" + name + "/adfs/oauth2/token",
		assertion: Assertion{Algorithm: RS256, Thumbprint: ThumbprintSHA1},
	}
	if err != nil {
		a.tokenURL = ""
		a.fail("ADFS host %q: give the host name only, with a port where it isn't 443: %w", redact.Short(host), err)
	}
	return a.finish(opts)
}

// Issuer is any authorization server that takes client assertions by RFC 7523. It is
// named by its issuer identifier, as its metadata states it, and its token endpoint.
// Assertions are signed with RS256 and live for a minute. Their audience is the
// issuer and their typ is client-authentication+jwt, as draft-ietf-oauth-rfc7523bis
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
			Algorithm: RS256,
			Lifetime:  genericLifetime,
			Backdate:  genericBackdate,
			Type:      "client-authentication+jwt",
		},
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
	if a.tlsAuth && a.host != "" {
		a.fail("WithTLSClientAuth is for servers by RFC 8705; with Entra ID it is WithMTLSPoP")
	}
	switch {
	case a.pop:
		a.mtlsHost()
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
	if a.tokenURL != "" {
		errs = append(errs, syntax.CheckEndpoint("token endpoint", a.tokenURL, a.loopbackHTTP))
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

// assertionFor is the assertion that this authority wants of a client whose
// certificate is cert.
func (a Authority) assertionFor(clientID string, cert *Certificate) Assertion {
	as := a.assertion
	as.ClientID = clientID
	as.Audience = a.tokenURL
	switch {
	case a.audience != "":
		as.Audience = a.audience
	case a.issuer != "":
		as.Audience = a.issuer
	}
	if a.keyID != nil {
		as.KeyID = a.keyID(cert)
	}
	return as
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

// mtlsHosts are the hosts at which Entra ID's clouds grant tokens that are bound to a
// certificate. The name of a region, if there is one, is put before the host.
var mtlsHosts = map[string]string{
	hostEntra:      "mtlsauth.microsoft.com",
	hostEntraUSGov: "mtlsauth.microsoftonline.us",
}

// typeMTLSPoP is the type, and the Authorization scheme, of such a token.
const typeMTLSPoP = "mtls_pop"

// presents reports whether the certificate is shown in TLS handshakes.
func (a Authority) presents() bool { return a.tlsAuth || a.tlsBound || a.pop }

// asserts reports whether token requests carry an assertion.
func (a Authority) asserts() bool { return !a.tlsAuth && !a.pop }

// mtlsHost moves an Entra authority to the host for bound tokens. A host that WithHost
// named, and that this package doesn't know, is taken as it is: it must be the one that
// grants such tokens.
func (a *Authority) mtlsHost() {
	host, known := mtlsHosts[a.host]
	switch {
	case a.host == "":
		a.fail("WithMTLSPoP is for Entra ID; elsewhere it is WithTLSClientAuth or WithCertificateBoundTokens")
	case known && a.region != "":
		a.host = a.region + "." + host
	case known:
		a.host = host
	case a.oneTenant || cloudOf(a.host) != nil:
		a.fail("WithMTLSPoP is for Entra ID's public cloud and the US Government's; WithHost names any host")
	case a.region != "":
		a.fail("WithRegion and WithHost exclude each other: name the region's host")
	}
}
