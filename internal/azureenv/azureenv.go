// Package azureenv reads the environment variables that Azure's own libraries read. The
// library and the command share it, so that both understand the same. It makes neither
// clients nor requests. Nothing is kept: each function reads the variable that it is
// named for, and an empty variable counts as not set.
//
//	azureenv.go  the variables and what they mean
//	proxy.go     the variables of a cluster's token proxy
package azureenv

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// The variables. Those of a token proxy are set by AKS identity bindings.
const (
	TenantID          = "AZURE_TENANT_ID"
	ClientID          = "AZURE_CLIENT_ID"
	CertificatePath   = "AZURE_CLIENT_CERTIFICATE_PATH"
	Password          = "AZURE_CLIENT_CERTIFICATE_PASSWORD"
	SendChain         = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"
	AuthorityHost     = "AZURE_AUTHORITY_HOST"
	FederatedFile     = "AZURE_FEDERATED_TOKEN_FILE"
	Region            = "AZURE_REGIONAL_AUTHORITY_NAME"
	AdditionalTenants = "AZURE_ADDITIONALLY_ALLOWED_TENANTS"

	TokenProxy       = "AZURE_KUBERNETES_TOKEN_PROXY"
	TokenProxySNI    = "AZURE_KUBERNETES_SNI_NAME"
	TokenProxyCAFile = "AZURE_KUBERNETES_CA_FILE"
	TokenProxyCAData = "AZURE_KUBERNETES_CA_DATA"

	regionHere = "REGION_NAME" // which Azure sets in App Service and Functions
)

// Get returns a variable, or "".
func Get(name string) string { return os.Getenv(name) }

// Has reports whether a variable is set.
func Has(name string) bool { return Get(name) != "" }

// IsFederated reports whether the variables name a token of the platform's and no
// certificate. A certificate is used where both are named.
func IsFederated() bool { return Has(FederatedFile) && !Has(CertificatePath) }

// SendsChain reports whether the certificate's chain is sent.
func SendsChain() (bool, error) {
	if !Has(SendChain) {
		return false, nil
	}
	send, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(Get(SendChain))))
	if err != nil {
		return false, fmt.Errorf("%s is neither true nor false", SendChain)
	}
	return send, nil
}

// CheckWithoutCertificate reports the variables that have a meaning only together with a
// certificate's.
func CheckWithoutCertificate() error {
	var errs []error
	if Has(Password) {
		errs = append(errs, fmt.Errorf("%s is set without %s", Password, CertificatePath))
	}
	if send, err := SendsChain(); err == nil && send {
		errs = append(errs, fmt.Errorf("%s is set without %s", SendChain, CertificatePath))
	}
	return errors.Join(errs...)
}

// Host returns the host of AZURE_AUTHORITY_HOST, which is a URL, or a name alone. It
// returns "" if the variable is not set.
func Host() (string, error) {
	raw := Get(AuthorityHost)
	if raw == "" {
		return "", nil
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s is not the https URL of a host, such as https://login.microsoftonline.com/",
			AuthorityHost)
	}
	if host, err := syntax.Host(u.Host); err == nil {
		return host, nil
	}
	return u.Host, nil // the caller's check of hosts refuses it and says why
}

// RegionName returns the region to ask, or "".
func RegionName() string {
	region := spelled(Get(Region))
	switch region {
	case "autodiscoverregion", "tryautodetect":
		return spelled(Get(regionHere))
	}
	return region
}

// spelled writes a region as hosts have it: "West Europe" is westeurope.
func spelled(region string) string { return strings.ToLower(strings.ReplaceAll(region, " ", "")) }

// Tenants returns the further tenants that are allowed. "*" stands for all. Those that
// are well-formed are returned even if others are not.
func Tenants() ([]string, error) {
	var tenants []string
	var errs []error
	for _, tenant := range strings.Split(Get(AdditionalTenants), ";") {
		if tenant = strings.TrimSpace(tenant); tenant == "" {
			continue
		}
		if tenant != "*" && syntax.CheckTenant(tenant) != nil {
			errs = append(errs, fmt.Errorf("%s: %q is neither a tenant nor *", AdditionalTenants, redact.Short(tenant)))
			continue
		}
		tenants = append(tenants, tenant)
	}
	return tenants, errors.Join(errs...)
}
