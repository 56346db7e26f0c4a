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
	tenants        bool // the path names one
	aadsts         bool // errors are Entra ID's
}

func (s *Server) entraDialect() *dialect {
	return &dialect{
		algorithms:   s.cfg.algorithms,
		types:        s.cfg.types,
		needKeyID:    true,
		defaultScope: true,
		tenants:      true,
		aadsts:       true,
	}
}

// adfsDialect takes what Active Directory Federation Services takes.
func (s *Server) adfsDialect() *dialect {
	return &dialect{algorithms: []string{"RS256"}, types: []string{"JWT"}, needKeyID: true}
}

func (s *Server) genericDialect() *dialect {
	return &dialect{algorithms: s.cfg.algorithms, types: s.cfg.types, issuerAudience: true}
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
	case "/adfs/oauth2/token":
		to.dialect = s.adfsDialect()
		return to, true
	case "/common/discovery/instance":
		to.handle = s.instanceDiscovery
		return to, true
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		to.tenant, to.handle = s.tenant(), s.metadata
		return to, true
	}
	var rest string
	to.tenant, rest, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch rest {
	case "oauth2/v2.0/token":
		return to, true
	case "v2.0/.well-known/openid-configuration", ".well-known/openid-configuration", "v2.0/.well-known/oauth-authorization-server":
		to.handle = s.metadata
		return to, true
	case "discovery/v2.0/keys":
		to.handle = s.keySet
		return to, true
	}
	_, rest, _ = strings.Cut(rest, "/") // a policy of B2C
	return to, rest == "oauth2/v2.0/token"
}

// genericRoute knows both places of RFC 8414 §3.1 and OpenID Discovery §4.1 for
// an issuer with a path.
func (s *Server) genericRoute(r *http.Request) (route, bool) {
	to := route{origin: requestOrigin(r), dialect: s.genericDialect()}
	base := s.issuerPath()
	switch r.URL.Path {
	case base + "/token", base + "/mtls/token":
		return to, true
	case base + "/jwks":
		to.handle = s.keySet
		return to, true
	case base + "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server" + base:
		to.handle = s.metadata
		return to, true
	}
	return to, false
}

// issuerOf is the issuer at the address that a request came to.
func (s *Server) issuerOf(to route) string {
	switch {
	case !s.cfg.generic:
		return to.origin + "/" + to.tenant + "/v2.0"
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
