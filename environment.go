package certtoken

import (
	"errors"
	"fmt"

	"github.com/certtoken/certtoken/internal/azureenv"
)

// ClientFromEnvironment makes a client from the variables that Azure's own
// libraries read: AZURE_TENANT_ID, AZURE_CLIENT_ID, and either
// AZURE_CLIENT_CERTIFICATE_PATH (with AZURE_CLIENT_CERTIFICATE_PASSWORD, and
// AZURE_CLIENT_SEND_CERTIFICATE_CHAIN for subject-name/issuer trust) or
// AZURE_FEDERATED_TOKEN_FILE. If both are set, the certificate is used.
//
// AZURE_AUTHORITY_HOST names a cloud by its URL, AZURE_REGIONAL_AUTHORITY_NAME a
// region ([WithRegion]; AutoDiscoverRegion stands for that of REGION_NAME, if that is
// set), and AZURE_ADDITIONALLY_ALLOWED_TENANTS further tenants ([WithTenants]), with
// semicolons between them.
//
// AZURE_KUBERNETES_TOKEN_PROXY, together with AZURE_FEDERATED_TOKEN_FILE, is the proxy by
// which a cluster exchanges its tokens (AKS identity bindings): requests go there and not
// to the cloud's host. AZURE_KUBERNETES_SNI_NAME is the name in the proxy's certificate.
// AZURE_KUBERNETES_CA_FILE or AZURE_KUBERNETES_CA_DATA has the root certificates for it.
//
// [WithAuthorityOptions] among the options is for the authority.
//
// An empty variable counts as not set. The error names everything that is missing or
// contradictory.
func ClientFromEnvironment(opts ...Option) (*Client, error) {
	var env environment
	return env.client(opts)
}

// environment collects what is wrong with the variables.
type environment struct{ errs []error }

// check notes an error that isn't nil.
func (e *environment) check(err error) {
	if err != nil {
		e.errs = append(e.errs, ofEnvironment(err))
	}
}

func ofEnvironment(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok { // each gets a line of its own
		var errs []error
		for _, one := range several.Unwrap() {
			errs = append(errs, ofEnvironment(one))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("environment: %w", err)
}

func (e *environment) fail(format string, args ...any) { e.check(fmt.Errorf(format, args...)) }

func (e *environment) client(opts []Option) (*Client, error) {
	for _, name := range []string{azureenv.TenantID, azureenv.ClientID} {
		if !azureenv.Has(name) {
			e.fail("%s is not set", name)
		}
	}
	certified := azureenv.Has(azureenv.CertificatePath)
	if !certified && !azureenv.IsFederated() {
		e.fail("neither %s nor %s is set", azureenv.CertificatePath, azureenv.FederatedFile)
	}
	authority := e.authority(certified, newConfig(opts).environment)
	opts = append(append(e.options(), opts...), func(c *config) { c.environment = nil })
	if !certified {
		e.check(azureenv.CheckWithoutCertificate())
		opts = append(e.proxy(newConfig(opts)), opts...)
	}
	if len(e.errs) > 0 { // add what NewClient would report, except for what is missing
		if azureenv.Has(azureenv.TenantID) {
			e.errs = append(e.errs, authority.validate())
		}
		cfg := newConfig(opts)
		return nil, public(errors.Join(append(e.errs, cfg.validate())...))
	}
	id := azureenv.Get(azureenv.ClientID)
	if !certified {
		return NewFederatedClient(authority, id, AssertionFile(azureenv.Get(azureenv.FederatedFile)), opts...)
	}
	var certOpts []CertOption
	if azureenv.Has(azureenv.Password) {
		certOpts = append(certOpts, WithPassword(azureenv.Get(azureenv.Password)))
	}
	return NewClient(authority, id, CertFile(azureenv.Get(azureenv.CertificatePath), certOpts...), opts...)
}

// authority is the tenant in its cloud.
func (e *environment) authority(certified bool, further []AuthorityOption) Authority {
	var opts []AuthorityOption
	send, err := azureenv.SendsChain()
	e.check(err)
	if send && certified {
		opts = append(opts, WithX5C())
	}
	host, err := azureenv.Host()
	e.check(err)
	if host != "" {
		opts = append(opts, WithHost(host))
	}
	if region := azureenv.RegionName(); region != "" {
		opts = append(opts, WithRegion(region))
	}
	return Entra(azureenv.Get(azureenv.TenantID), append(opts, further...)...)
}

// options are those of a client that the variables name.
func (e *environment) options() []Option {
	tenants, err := azureenv.Tenants()
	e.check(err)
	if len(tenants) == 0 {
		return nil
	}
	return []Option{WithTenants(tenants...)}
}

// proxy is the option that sends requests through the cluster's proxy, if there is one.
func (e *environment) proxy(given config) []Option {
	proxy, err := azureenv.Proxy()
	e.check(err)
	switch {
	case proxy == nil:
		return nil
	case given.http != nil:
		e.fail("%s and WithHTTPClient exclude each other: the requests go through the proxy", azureenv.TokenProxy)
		return nil
	}
	return []Option{func(c *config) { c.ownTransport = proxy }}
}
