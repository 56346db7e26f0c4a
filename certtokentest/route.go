package certtokentest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// place is what there is at a path.
type place int

const (
	atToken place = iota
	atSignIn
	atKeys
	atMetadata
	atSmart    // metadata of SMART App Launch, which have a place of their own
	atInstance // discovery of Entra ID's hosts
)

// route is what a request's path asks for.
type route struct {
	place   place
	tenant  string // as the path writes it
	origin  string // of the request
	base    string // of the paths of this tenant, as "/contoso.com"
	dialect *dialect
}

func (c *config) route(r *http.Request) (route, bool) {
	if c.generic {
		return c.genericRoute(r)
	}
	return c.entraRoute(r)
}

func (c *config) entraRoute(r *http.Request) (route, bool) {
	to := route{origin: requestOrigin(r), dialect: c.entraDialect()}
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch path {
	case "/common/discovery/instance":
		to.place = atInstance
		return to, true
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		to.tenant, to.base, to.place = c.tenant(), "/"+c.tenant(), atMetadata
		return to, true
	}
	if rest, ok := strings.CutPrefix(path, "/adfs/"); ok {
		to.base, to.dialect = "/adfs", c.adfsDialect()
		to.place, ok = adfsPlaces[rest]
		return to, ok
	}
	return to, c.tenantRoute(&to, path)
}

var adfsPlaces = map[string]place{
	"oauth2/token":                     atToken,
	"oauth2/authorize":                 atSignIn,
	"discovery/keys":                   atKeys,
	".well-known/openid-configuration": atMetadata,
}

// tenantPath is a tenant, under a prefix for some kinds of authority, with a
// policy for B2C, and what is asked for there.
var tenantPath = lazyregexp.New(`^((?:/tfp|/dstsv2)?/([^/]+)(?:/[^/]+)??)/` +
	`(oauth2/(?:v2\.0/)?(?:token|authorize)` +
	`|(?:v2\.0/)?\.well-known/(?:openid-configuration|oauth-authorization-server)` +
	`|discovery/(?:v2\.0/)?keys)$`)

// tenantRoute finds what there is of a tenant. Paths without v2.0 are of the older
// endpoint.
func (c *config) tenantRoute(to *route, path string) bool {
	found := tenantPath().FindStringSubmatch(path)
	if found == nil {
		return false
	}
	to.base, to.tenant = found[1], found[2]
	rest := found[3]
	if !strings.Contains(rest, "v2.0/") {
		to.dialect = c.entraV1Dialect()
	}
	switch {
	case strings.HasSuffix(rest, "/token"):
		to.place = atToken
	case strings.HasSuffix(rest, "/authorize"):
		to.place = atSignIn
	case strings.HasSuffix(rest, "/keys"):
		to.place = atKeys
	default:
		to.place = atMetadata
	}
	return true
}

// genericRoute knows both places of RFC 8414 §3.1 and OpenID Discovery §4.1 for
// an issuer with a path, and SMART App Launch's.
func (c *config) genericRoute(r *http.Request) (route, bool) {
	base := c.issuerPath()
	to := route{origin: requestOrigin(r), base: base, dialect: c.genericDialect()}
	switch r.URL.Path {
	case base + "/token", base + "/mtls/token":
		to.place = atToken
	case base + "/jwks":
		to.place = atKeys
	case base + "/authorize":
		to.place = atSignIn
	case base + "/.well-known/openid-configuration", "/.well-known/openid-configuration" + base,
		"/.well-known/oauth-authorization-server" + base:
		to.place = atMetadata
	case base + "/.well-known/smart-configuration":
		to.place = atSmart
	default:
		return to, false
	}
	return to, true
}

// issuerOf is the issuer at the address that a request came to. Entra ID's names
// its tenant by GUID, and the older endpoint's has a host of its own.
func (c *config) issuerOf(to route) string {
	switch {
	case c.generic:
		return c.issuerAt(to.origin)
	case to.dialect.profile == grants.ADFS:
		return to.origin + to.base
	case slices.Contains(tenant.Any, to.tenant): // clients fill it in
		return issuerOfTenant(to, "{tenantid}")
	}
	return issuerOfTenant(to, tenant.ID(to.tenant))
}

func issuerOfTenant(to route, id string) string {
	if to.dialect.profile == grants.EntraV1 {
		return "https://sts.windows.net/" + id + "/"
	}
	return issuerOrigin(to.origin) + strings.Replace(to.base, "/"+to.tenant, "/"+id, 1) + "/v2.0"
}

func requestOrigin(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// mtlsHosts are the hosts at which Entra ID's clouds are shown certificates in TLS, and the
// hosts that the issuers of the clouds have. A region may stand before the former.
var mtlsHosts = map[string]string{
	"mtlsauth.microsoft.com":      "login.microsoftonline.com",
	"mtlsauth.microsoftonline.us": "login.microsoftonline.us",
}

// issuerOrigin is the origin of Entra ID's issuer for a request that came to an origin.
func issuerOrigin(origin string) string {
	scheme, host, _ := strings.Cut(origin, "://")
	for mtls, login := range mtlsHosts {
		if host == mtls || strings.HasSuffix(host, "."+mtls) {
			return scheme + "://" + login
		}
	}
	return origin
}
