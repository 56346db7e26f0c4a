package certtokentest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// route is what a path asks for. Without a handle it is a token endpoint.
type route struct {
	tenant  string
	origin  string // of the request
	base    string // of the paths of this tenant, as "/contoso.com"
	dialect *dialect
	handle  func(*http.Request, route) *answer
}

// dialect is what a kind of server wants of an assertion and how it answers.
type dialect struct {
	algorithms     []string
	types          []string
	needKeyID      bool // the header must name the key
	issuerAudience bool // the audience is the issuer, not the URL
	defaultScope   bool // the scope is {resource}/.default
	resource       bool // the form names the resource, as before there were scopes
	tenants        bool // the path names one
	reuse          bool // an assertion may come again in another request
	aadsts         bool // errors are Entra ID's
	tlsAuth        bool // the certificate in TLS alone proves a client (RFC 8705 §2)
}

func (s *Server) entraDialect() *dialect {
	return &dialect{
		algorithms:   s.cfg.algorithms,
		types:        s.cfg.types,
		needKeyID:    true,
		defaultScope: true,
		tenants:      true,
		reuse:        true,
		aadsts:       true,
	}
}

// entraV1Dialect is Entra ID's older endpoint, to which ADAL speaks.
func (s *Server) entraV1Dialect() *dialect {
	d := s.entraDialect()
	d.defaultScope, d.resource = false, true
	return d
}

// adfsDialect takes what Active Directory Federation Services takes.
func (s *Server) adfsDialect() *dialect {
	return &dialect{algorithms: []string{"RS256"}, types: []string{"JWT"}, needKeyID: true}
}

func (s *Server) genericDialect() *dialect {
	return &dialect{algorithms: s.cfg.algorithms, types: s.cfg.types, issuerAudience: true, tlsAuth: true}
}

func (s *Server) route(r *http.Request) (route, bool) {
	if s.cfg.generic {
		return s.genericRoute(r)
	}
	return s.entraRoute(r)
}

func (s *Server) entraRoute(r *http.Request) (route, bool) {
	to := route{origin: requestOrigin(r), dialect: s.entraDialect()}
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch path {
	case "/common/discovery/instance":
		to.handle = s.instanceDiscovery
		return to, true
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		to.tenant, to.base, to.handle = s.tenant(), "/"+s.tenant(), s.metadata
		return to, true
	}
	if rest, ok := strings.CutPrefix(path, "/adfs/"); ok {
		to.base, to.dialect = "/adfs", s.adfsDialect()
		return to, s.adfsRoute(&to, rest)
	}
	return to, s.tenantRoute(&to, path)
}

func (s *Server) adfsRoute(to *route, rest string) bool {
	switch rest {
	case "oauth2/token":
	case "oauth2/authorize":
		to.handle = s.signIn
	case "discovery/keys":
		to.handle = s.keySet
	case ".well-known/openid-configuration":
		to.handle = s.metadata
	default:
		return false
	}
	return true
}

// tenantPath is a tenant, under a prefix for some kinds of authority, with a
// policy for B2C, and what is asked for there.
var tenantPath = regexp.MustCompile(`^((?:/tfp|/dstsv2)?/([^/]+)(?:/[^/]+)??)/` +
	`(oauth2/(?:v2\.0/)?(?:token|authorize)|(?:v2\.0/)?\.well-known/(?:openid-configuration|oauth-authorization-server)|discovery/(?:v2\.0/)?keys)$`)

func (s *Server) tenantRoute(to *route, path string) bool {
	found := tenantPath.FindStringSubmatch(path)
	if found == nil {
		return false
	}
	to.base, to.tenant = found[1], found[2]
	switch rest := found[3]; {
	case rest == "oauth2/token":
		to.dialect = s.entraV1Dialect()
	case strings.HasSuffix(rest, "/token"):
	case strings.HasSuffix(rest, "/authorize"):
		to.handle = s.signIn
	case strings.HasSuffix(rest, "/keys"):
		to.handle = s.keySet
	default:
		to.handle = s.metadata
	}
	return true
}

// genericRoute knows both places of RFC 8414 §3.1 and OpenID Discovery §4.1 for
// an issuer with a path.
func (s *Server) genericRoute(r *http.Request) (route, bool) {
	to := route{origin: requestOrigin(r), dialect: s.genericDialect()}
	base := s.issuerPath()
	to.base = base
	switch r.URL.Path {
	case base + "/token", base + "/mtls/token":
		return to, true
	case base + "/jwks":
		to.handle = s.keySet
		return to, true
	case base + "/authorize":
		to.handle = s.signIn
		return to, true
	case base + "/.well-known/openid-configuration", "/.well-known/openid-configuration" + base, "/.well-known/oauth-authorization-server" + base:
		to.handle = s.metadata
		return to, true
	}
	return to, false
}

// issuerOf is the issuer at the address that a request came to.
func (s *Server) issuerOf(to route) string {
	switch {
	case !s.cfg.generic && !to.dialect.tenants:
		return to.origin + to.base // ADFS
	case !s.cfg.generic:
		return to.origin + to.base + "/v2.0"
	case s.cfg.issuer != "":
		return s.cfg.issuer
	}
	return to.origin
}

var (
	guidPattern   = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	domainPattern = regexp.MustCompile(`^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.)+[0-9A-Za-z-]{2,63}$`)
)

func isTenant(name string) bool {
	return guidPattern.MatchString(name) || len(name) <= 253 && domainPattern.MatchString(name)
}

func (s *Server) refuseTenant(tenant string) *refusal {
	known := func(name string) bool { return strings.EqualFold(name, tenant) }
	switch strings.ToLower(tenant) {
	case "common", "consumers":
		return refuse(9001023, "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.")
	case "organizations":
		return refuse(50194, "The application is not configured as a multi-tenant application. Use a tenant-specific endpoint or configure the application to be multi-tenant.")
	}
	switch {
	case !isTenant(tenant):
		return refuse(900023, "Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.", tenant)
	case len(s.cfg.tenants) > 0 && !slices.ContainsFunc(s.cfg.tenants, known):
		return refuse(90002, "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", tenant)
	}
	return nil
}
