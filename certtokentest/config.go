package certtokentest

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
	"github.com/certtoken/certtoken/internal/jws"
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
	urlAudience   bool // generic: the audience is the token endpoint, not the issuer
	keyID         proof.KeyID
	jwksURL       bool // a jku must be the registered one
	slash         bool // the issuer ends with one
	words         map[refusal.Reason]string
	algorithms    []string
	types         []string
	times         proof.Times
	replay        bool
	keepRefresh   bool // a refresh token stays, and no new one comes
	opaque        bool
	noDate        bool // answers have no Date
	clientCerts   bool // a server without a socket takes certificates in TLS too
	tokenSize     int
	requestLimit  int
	tlsNames      []string
	tlsFailure    func(remote string, err error)
	grantOnly     bool        // a JWT bearer grant needs no proof of the client beside it
	reuse         bool        // a refresh token that was used before revokes its successors
	dpop          *DPoPRules  // nil: proofs are ignored
	graph         *GraphRules // nil: there is no Microsoft Graph
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
	users       map[string][]string // for whom a client may sign assertions; replaced and never changed
	agents      map[string]Agent    // replaced and never changed
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
			c.algorithms = jws.Names()
		}
	}
	if !c.generic {
		c.checkEntraAlgorithms()
		if c.dpop != nil {
			c.fail("WithDPoP: Entra ID grants no DPoP tokens: add WithIssuer")
		}
	}
	if c.generic && c.graph != nil {
		c.fail("WithGraph: Microsoft Graph goes with Entra ID: leave WithIssuer out")
	}
	if c.types == nil {
		c.types = []string{"JWT", ""} // widespread clients send none
		if c.generic {
			c.types = []string{"JWT", "client-authentication+jwt", ""}
		}
	}
}

// checkEntraAlgorithms: nobody has seen Entra ID take another kind of key than RSA.
func (c *config) checkEntraAlgorithms() {
	for _, alg := range c.algorithms {
		if alg[0] != 'R' && alg[0] != 'P' {
			c.fail("algorithm %s is not for RSA keys, and Entra ID takes no other: add WithIssuer", alg)
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
	issuer := cmp.Or(c.issuer, origin)
	if c.slash {
		issuer += "/"
	}
	return issuer
}

// tokenURLAt is the token endpoint of a server at an origin.
func (c *config) tokenURLAt(origin string) string {
	if c.generic {
		return origin + c.issuerPath() + "/token"
	}
	return origin + "/" + c.tenant() + "/oauth2/v2.0/token"
}
