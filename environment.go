package certtoken

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
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
)

// ClientFromEnvironment makes a client from the variables that Azure's own
// libraries read: AZURE_TENANT_ID, AZURE_CLIENT_ID, and either
// AZURE_CLIENT_CERTIFICATE_PATH (with AZURE_CLIENT_CERTIFICATE_PASSWORD, and
// AZURE_CLIENT_SEND_CERTIFICATE_CHAIN for subject-name/issuer trust) or
// AZURE_FEDERATED_TOKEN_FILE, of which the certificate goes first.
// AZURE_AUTHORITY_HOST names a cloud by its URL. An empty variable counts as
// none. The error holds everything that is missing or contradictory.
func ClientFromEnvironment(opts ...Option) (*Client, error) {
	env := environment{values: make(map[string]string)}
	for _, name := range []string{envTenant, envClient, envCert, envPassword, envSendChain, envHost, envFederated} {
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
	if len(e.errs) > 0 { // what else NewClient would find wrong, but for what is missing anyway
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
	tenant, host := e.values[envTenant], e.host()
	switch host {
	case "", hostEntra:
		return Entra(tenant, opts...)
	case hostEntraUSGov:
		return EntraUSGov(tenant, opts...)
	case hostEntraChina:
		return EntraChina(tenant, opts...)
	case hostChinaCloud:
		return EntraChina(tenant, append(opts, WithHost(host))...)
	}
	return Entra(tenant, append(opts, WithHost(host))...)
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
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		e.fail("%s is not the https URL of a host, such as https://%s/", envHost, hostEntra)
		return ""
	}
	return strings.ToLower(u.Host)
}
