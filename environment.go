package certtoken

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
	"github.com/certtoken/certtoken/internal/tokenproxy"
)

// The variables that Azure's own libraries read.
const (
	envTenant    = "AZURE_TENANT_ID"
	envClient    = "AZURE_CLIENT_ID"
	envCert      = "AZURE_CLIENT_CERTIFICATE_PATH"
	envPassword  = "AZURE_CLIENT_CERTIFICATE_PASSWORD"
	envSendChain = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"
	envHost      = "AZURE_AUTHORITY_HOST"
	envFederated = "AZURE_FEDERATED_TOKEN_FILE"
	envRegion    = "AZURE_REGIONAL_AUTHORITY_NAME"
	envTenants   = "AZURE_ADDITIONALLY_ALLOWED_TENANTS"

	envProxy       = "AZURE_KUBERNETES_TOKEN_PROXY" // AKS identity bindings
	envProxySNI    = "AZURE_KUBERNETES_SNI_NAME"
	envProxyCAFile = "AZURE_KUBERNETES_CA_FILE"
	envProxyCAData = "AZURE_KUBERNETES_CA_DATA"

	envRegionHere = "REGION_NAME" // which Azure sets in App Service and Functions
)

var envNames = []string{
	envTenant, envClient, envCert, envPassword, envSendChain, envHost, envFederated, envRegion, envTenants,
	envProxy, envProxySNI, envProxyCAFile, envProxyCAData, envRegionHere,
}

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
// An empty variable counts as not set. The error names everything that is missing or
// contradictory.
func ClientFromEnvironment(opts ...Option) (*Client, error) {
	env := environment{values: make(map[string]string)}
	for _, name := range envNames {
		env.values[name] = os.Getenv(name)
	}
	return env.client(opts)
}

// environment is a set of variables and what is wrong with it.
type environment struct {
	values map[string]string
	errs   []error
}

func (e *environment) fail(format string, args ...any) {
	e.errs = append(e.errs, fmt.Errorf("environment: "+format, args...))
}

func (e *environment) has(name string) bool { return e.values[name] != "" }

func (e *environment) client(opts []Option) (*Client, error) {
	for _, name := range []string{envTenant, envClient} {
		if !e.has(name) {
			e.fail("%s is not set", name)
		}
	}
	switch {
	case !e.has(envCert) && !e.has(envFederated):
		e.fail("neither %s nor %s is set", envCert, envFederated)
	case !e.has(envCert) && e.has(envPassword):
		e.fail("%s is set without %s", envPassword, envCert)
	}
	authority := e.authority()
	opts = append(e.options(), opts...)
	if !e.has(envCert) {
		opts = append(e.proxy(newConfig(opts)), opts...)
	}
	if len(e.errs) > 0 { // add what NewClient would report, except for what is missing
		if e.has(envTenant) {
			e.errs = append(e.errs, authority.validate())
		}
		cfg := newConfig(opts)
		return nil, public(errors.Join(append(e.errs, cfg.validate())...))
	}
	if !e.has(envCert) {
		return NewFederatedClient(authority, e.values[envClient], AssertionFile(e.values[envFederated]), opts...)
	}
	var certOpts []CertOption
	if e.has(envPassword) {
		certOpts = append(certOpts, WithPassword(e.values[envPassword]))
	}
	return NewClient(authority, e.values[envClient], CertFile(e.values[envCert], certOpts...), opts...)
}

// authority is the tenant in its cloud.
func (e *environment) authority() Authority {
	var opts []AuthorityOption
	if e.has(envSendChain) {
		send, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(e.values[envSendChain])))
		switch {
		case err != nil:
			e.fail("%s is neither true nor false", envSendChain)
		case send && !e.has(envCert):
			e.fail("%s is set without %s", envSendChain, envCert)
		case send:
			opts = append(opts, WithX5C())
		}
	}
	if host := e.host(); host != "" {
		opts = append(opts, WithHost(host))
	}
	if region := e.region(); region != "" {
		opts = append(opts, WithRegion(region))
	}
	return Entra(e.values[envTenant], opts...)
}

// region is the one to ask, or "".
func (e *environment) region() string {
	region := strings.ToLower(strings.ReplaceAll(e.values[envRegion], " ", "")) // "West Europe" is westeurope
	switch region {
	case "autodiscoverregion", "tryautodetect":
		return strings.ToLower(strings.ReplaceAll(e.values[envRegionHere], " ", ""))
	}
	return region
}

// options are those of a client that the variables name.
func (e *environment) options() []Option {
	var tenants []string
	for _, tenant := range strings.Split(e.values[envTenants], ";") {
		if tenant = strings.TrimSpace(tenant); tenant == "" {
			continue
		}
		if tenant != "*" && syntax.CheckTenant(tenant) != nil {
			e.fail("%s: %q is neither a tenant nor *", envTenants, redact.Short(tenant))
			continue
		}
		tenants = append(tenants, tenant)
	}
	if len(tenants) == 0 {
		return nil
	}
	return []Option{WithTenants(tenants...)}
}

// proxy is the option that sends requests through the cluster's proxy, if there is one.
// Without it the cluster's token would be sent to the cloud's host, which must not see
// it.
func (e *environment) proxy(given config) []Option {
	if !e.has(envProxy) {
		for _, name := range []string{envProxySNI, envProxyCAFile, envProxyCAData} {
			if e.has(name) {
				e.fail("%s is set without %s", name, envProxy)
			}
		}
		return nil
	}
	if given.http != nil {
		e.fail("%s and WithHTTPClient exclude each other: the requests go through the proxy", envProxy)
		return nil
	}
	proxy, err := tokenproxy.New(tokenproxy.Config{
		URL: e.values[envProxy], ServerName: e.values[envProxySNI],
		CAFile: e.values[envProxyCAFile], CAData: e.values[envProxyCAData],
	})
	if err != nil {
		e.fail("%s: %w", envProxy, err)
		return nil
	}
	return []Option{func(c *config) { c.http, c.httpIsOurs = &http.Client{Transport: proxy}, true }}
}

// host is that of AZURE_AUTHORITY_HOST, which is a URL, or a name alone.
func (e *environment) host() string {
	raw := e.values[envHost]
	if raw == "" {
		return ""
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		e.fail("%s is not the https URL of a host, such as https://%s/", envHost, hostEntra)
		return ""
	}
	if host, err := syntax.Host(u.Host); err == nil {
		return host
	}
	return u.Host // WithHost refuses it and says why
}
