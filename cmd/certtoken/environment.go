package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/internal/tokenproxy"
)

// environment is what the variables say besides the values of flags.
type environment struct {
	assertionFile string            // the platform's token, in place of a certificate; "": none
	proxy         *tokenproxy.Proxy // by which that token is exchanged; nil: none
}

// federatedEnvironment is the environment where the platform's token takes the place of a
// certificate. It is an error to give flags that contradict it.
func federatedEnvironment(given func(flag string) bool) (*environment, error) {
	for _, flag := range ofCertificate {
		if given(flag) {
			return nil, failure.Usagef("--%s is for a certificate, and %s names an assertion that is signed already",
				flag, azureenv.FederatedFile).Advise("Leave it out, or give --cert FILE, which wins over the variable.")
		}
	}
	if err := azureenv.CheckWithoutCertificate(); err != nil {
		return nil, failure.Usagef("%w", err)
	}
	proxy, err := azureenv.Proxy()
	switch {
	case err != nil:
		return nil, failure.Usagef("%w", err)
	case proxy != nil && given("token-url"):
		return nil, failure.Usagef("--token-url and %s exclude each other", azureenv.TokenProxy).
			Advise(fmt.Sprintf("The token of %s is for the token proxy, and no other server may see it.",
				azureenv.FederatedFile))
	}
	return &environment{assertionFile: azureenv.Get(azureenv.FederatedFile), proxy: proxy}, nil
}

// httpClient makes the client that requests are sent with. The platform's token goes
// through the token proxy, if there is one, which has root certificates of its own.
func (e *environment) httpClient(ctx context.Context, c *console.Console, ca string) (*http.Client, error) {
	switch {
	case e.proxy == nil:
		return httpClient(ctx, c, ca)
	case ca != "":
		return nil, failure.Usagef("--ca and %s exclude each other: the requests go through the token proxy",
			azureenv.TokenProxy).
			Advise(fmt.Sprintf("Its root certificates are in %s or %s.", azureenv.TokenProxyCAFile, azureenv.TokenProxyCAData))
	}
	return &http.Client{Transport: e.proxy}, nil
}

// ofCertificate are the flags that say which certificate is used, or how the assertion is
// made that it signs.
var ofCertificate = []string{
	"key", "select", "password-env", "password-file", "cer", "mtls", flagBound,
	"audience", "alg", "thumbprint", "typ", "kid", "x5c", "lifetime", "backdate",
}
