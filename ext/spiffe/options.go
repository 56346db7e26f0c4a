package spiffe

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	defaultTimeout = 15 * time.Second // less than a certtoken.Client waits for a token
	maxTimeout     = 5 * time.Minute
)

// The types that a client assertion may have.
const (
	typeJWTBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	typeJWTSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
)

// Option changes an [X509Source] or a [JWTSource] from its defaults.
type Option func(*config)

type config struct {
	address       string
	id            spiffeid.ID // zero: any
	hint          string
	timeout       time.Duration
	assertionType string // "": not asked for
	errs          []error
}

func newConfig(opts []Option) config {
	cfg := config{address: os.Getenv(workloadapi.SocketEnv), timeout: defaultTimeout}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if err := checkAddress(cfg.address); err != nil {
		cfg.errs = append(cfg.errs, err)
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("spiffe: "+format, args...))
}

// validate reports every mistake at once.
func (c *config) validate() error { return errors.Join(c.errs...) }

// WithAddress says where the agent listens: a Unix socket such as
// unix:///run/spire/agent/public/api.sock, on Windows a named pipe such as
// npipe:spire-agent\public\api, or tcp:// with a loopback IP address and a port. By default
// it is the value of SPIFFE_ENDPOINT_SOCKET when the source is made.
func WithAddress(address string) Option {
	return func(c *config) { c.address = address }
}

// WithID takes the SVID of this SPIFFE ID, such as spiffe://example.org/my-app, and no
// other. Without WithID and [WithHint] it is the first one that the agent lists, which
// the standard calls the default identity.
func WithID(id string) Option {
	return func(c *config) {
		parsed, err := spiffeid.FromString(id)
		if err != nil {
			c.fail("WithID: %q is no SPIFFE ID such as spiffe://example.org/my-app: %w", cut(id, maxName), err)
		}
		c.id = parsed
	}
}

// WithHint takes the SVID with this hint, a word that the operator has given to an
// identity for a process that has several. Together with [WithID] both must fit. Of several
// that fit it is the first one.
func WithHint(hint string) Option {
	return func(c *config) {
		if hint == "" {
			c.fail("WithHint: no hint")
		}
		c.hint = hint
	}
}

// WithTimeout limits how long a caller waits for the agent: up to 5 minutes, by default
// 15 s. It adds to the caller's context. It doesn't end the request to the agent, whose answer
// is there for later callers. A request that the agent hasn't answered within 30 s has failed
// for all, and is made anew.
func WithTimeout(d time.Duration) Option {
	return func(c *config) {
		if d <= 0 || d > maxTimeout {
			c.fail("WithTimeout: %v is not within 0 and %v", d, maxTimeout)
			return
		}
		c.timeout = d
	}
}

// WithJWTSPIFFE is for a [JWTSource]. It says of each SVID that it is one, by the assertion
// type jwt-spiffe (draft-ietf-oauth-spiffe-client-auth), where the server wants that. By
// default an SVID is sent as what it is besides, a JWT (RFC 7523), which Entra ID and
// other servers with federated credentials take.
func WithJWTSPIFFE() Option {
	return func(c *config) { c.assertionType = typeJWTSPIFFE }
}

// checkAddress accepts the addresses of the SPIFFE Workload Endpoint, on this machine
// only: the connection isn't encrypted, and a private key goes over it.
func checkAddress(address string) error {
	if address == "" {
		return errors.New("spiffe: no address of the agent: set SPIFFE_ENDPOINT_SOCKET, or give WithAddress")
	}
	if err := workloadapi.ValidateAddress(address); err != nil {
		return fmt.Errorf("spiffe: the agent's address %q can't be used: %w; "+
			"it is a URL such as unix:///run/spire/agent/public/api.sock", cut(address, maxName), err)
	}
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "tcp" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return fmt.Errorf("spiffe: the agent's address %q is not on this machine: the Workload API is not encrypted, "+
			"and a private key goes over it; give a Unix socket or a loopback address", cut(address, maxName))
	}
	return nil
}

// name names a source for people.
func (c *config) name(kind string) string {
	name := "spiffe." + kind + "(" + c.address
	if wanted := c.wanted(); wanted != "" {
		name += ", " + wanted
	}
	return name + ")"
}

// wanted says which SVID was asked for.
func (c *config) wanted() string {
	var parts []string
	if !c.id.IsZero() {
		parts = append(parts, "the ID "+cut(c.id.String(), maxName))
	}
	if c.hint != "" {
		parts = append(parts, fmt.Sprintf("the hint %q", cut(c.hint, maxName)))
	}
	return strings.Join(parts, " and ")
}
