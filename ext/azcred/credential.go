package azcred

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/certtoken/certtoken"
)

// Credential is the azcore.TokenCredential of a [certtoken.Client]. It holds no
// token of its own, may be used from many goroutines and by many clients of the
// SDK, and needs no closing; the Client does, if its owner wants that. Make one
// with [New].
type Credential struct {
	client       *certtoken.Client
	cae          *certtoken.Client // for requests that say EnableCAE
	singleTenant bool
}

var _ azcore.TokenCredential = (*Credential)(nil)

// Option changes a [Credential].
type Option func(*config)

type config struct {
	cae          *certtoken.Client
	singleTenant bool
	errs         []error
}

func newConfig(client *certtoken.Client, opts []Option) config {
	cfg := config{cae: client}
	if client == nil {
		cfg.fail("no client: make one with certtoken.NewClient")
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("azcred: "+format, args...))
}

// validate reports every mistake at once.
func (c *config) validate() error { return errors.Join(c.errs...) }

// New makes a credential that gets its tokens from the client. It does no I/O.
// Its error reports every mistake at once: a client that is nil, here or in an
// option.
func New(client *certtoken.Client, opts ...Option) (*Credential, error) {
	cfg := newConfig(client, opts)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Credential{client: client, cae: cfg.cae, singleTenant: cfg.singleTenant}, nil
}

// WithCAEClient gets the tokens of requests that say EnableCAE, as those of the
// SDK's own clients all do, from a second client: one of the same application,
// made with [certtoken.WithCapabilities]("cp1"). All others then get tokens that
// no resource challenges, from the first. Without the option one client serves
// both, and its capabilities hold for both.
func WithCAEClient(client *certtoken.Client) Option {
	return func(c *config) {
		if client == nil {
			c.fail("WithCAEClient: nil client")
		}
		c.cae = client
	}
}

// WithSingleTenant gets every token from the client's own tenant, whichever one
// a request names. Key Vault and others name their tenant by its GUID, which a
// client that names the same one by its domain doesn't recognize, and which an
// authority that isn't Entra ID doesn't have.
func WithSingleTenant() Option {
	return func(c *config) { c.singleTenant = true }
}

// GetToken implements azcore.TokenCredential. A valid token comes from the
// client's cache without any waiting. Claims go past the cache, and the token
// that they bring takes the place of the cached one, for everybody. TenantID
// must be the client's own tenant or one of [certtoken.WithTenants]. RefreshOn is
// when the client starts to look for a newer token, so a caller still gets
// an answer at once then.
//
// Errors are an [*AuthenticationError].
func (c *Credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) == 0 {
		return azcore.AccessToken{}, &AuthenticationError{err: errors.New("a token request needs at least one scope")}
	}
	req := certtoken.Request{Scopes: options.Scopes, Claims: options.Claims, Tenant: options.TenantID}
	if c.singleTenant {
		req.Tenant = ""
	}
	client := c.client
	if options.EnableCAE {
		client = c.cae
	}
	token, err := client.Acquire(ctx, req)
	if err != nil {
		return azcore.AccessToken{}, &AuthenticationError{err: err}
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return azcore.AccessToken{}, &AuthenticationError{
			err: fmt.Errorf(
				"the token endpoint granted a token of type %q, and the SDK can only send bearers: "+
					"give it a client without WithDPoP or WithMTLSPoP",
				token.Type(),
			)}
	}
	return azcore.AccessToken{
		Token:     token.AccessToken(),
		ExpiresOn: token.ExpiresAt().UTC(),
		RefreshOn: token.RenewAt().UTC(),
	}, nil
}

// String names the client behind the credential.
func (c *Credential) String() string { return fmt.Sprintf("azcred.Credential(%v)", c.client) }

// Format prints c as String does, whatever the verb.
func (c *Credential) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue logs c as String does.
func (c *Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
