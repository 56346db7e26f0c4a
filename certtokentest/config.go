package certtokentest

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
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
	times         proof.Times
	replay        bool
	keepRefresh   bool // a refresh token stays, and no new one comes
	opaque        bool
	clientCerts   bool // a server without a socket takes certificates in TLS too
	tokenSize     int
	requestLimit  int
	tlsNames      []string
	tlsFailure    func(remote string, err error)
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
	form        RefusalForm
}

const (
	defaultTokenSize    = 1536
	defaultRequestLimit = 1000
)

// fillDialect sets what the kind of server decides, where no option did.
func (c *config) fillDialect() {
	if c.algorithms == nil {
		c.algorithms = []string{"RS256", "RS384", "RS512", "PS256"} // those that Entra ID is known to take
		if c.generic {
			c.algorithms = append(c.algorithms, "PS384", "PS512")
		}
	}
	if c.types == nil {
		c.types = []string{"JWT", ""} // widespread clients send none
		if c.generic {
			c.types = []string{"JWT", "client-authentication+jwt", ""}
		}
	}
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("certtokentest: "+format, args...))
}

// tenant is the one that Authority names.
func (c *config) tenant() string {
	if len(c.tenants) > 0 {
		return c.tenants[0]
	}
	return DefaultTenant
}

// issuerPath is the path of a generic issuer, "" mostly.
func (c *config) issuerPath() string {
	u, err := url.Parse(c.issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// origin is where a server without a socket stands.
func (c *config) origin() string {
	if !c.generic {
		return "https://" + entraHost
	}
	u, err := url.Parse(c.issuer)
	if c.issuer == "" || err != nil {
		return genericOrigin
	}
	return u.Scheme + "://" + u.Host
}

// issuerAt is the issuer of a server at an origin.
func (c *config) issuerAt(origin string) string {
	if !c.generic {
		return origin + "/" + tenant.ID(c.tenant()) + "/v2.0"
	}
	return cmp.Or(c.issuer, origin)
}

// tokenURLAt is the token endpoint of a server at an origin.
func (c *config) tokenURLAt(origin string) string {
	if c.generic {
		return origin + c.issuerPath() + "/token"
	}
	return origin + "/" + c.tenant() + "/oauth2/v2.0/token"
}
