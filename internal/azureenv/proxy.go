package azureenv

import (
	"errors"
	"fmt"

	"github.com/certtoken/certtoken/internal/tokenproxy"
)

// Proxy returns the token proxy that the variables name, or nil. It belongs to a
// federated client. Without it the cluster's token would be sent to the cloud's host,
// which must not see it. So a proxy that is only half named is an error.
func Proxy() (*tokenproxy.Proxy, error) {
	if !Has(TokenProxy) {
		var errs []error
		for _, name := range []string{TokenProxySNI, TokenProxyCAFile, TokenProxyCAData} {
			if Has(name) {
				errs = append(errs, fmt.Errorf("%s is set without %s", name, TokenProxy))
			}
		}
		return nil, errors.Join(errs...)
	}
	proxy, err := tokenproxy.New(tokenproxy.Config{
		URL: Get(TokenProxy), ServerName: Get(TokenProxySNI),
		CAFile: Get(TokenProxyCAFile), CAData: Get(TokenProxyCAData),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", TokenProxy, err)
	}
	return proxy, nil
}
