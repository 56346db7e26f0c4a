package keyvault

import (
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// challenger learns from the vault's first answer, a 401 without any token, which
// tenant the vault trusts and what its tokens are for. The SDK's own clients do the
// same, each for itself.
type challenger struct {
	anyResource bool

	mu    sync.Mutex
	known policy.TokenRequestOptions // the zero value before the first challenge
}

func newChallengePolicy(credential azcore.TokenCredential, cfg config) policy.Policy {
	c := &challenger{anyResource: cfg.anyChallenge}
	return runtime.NewBearerTokenPolicy(credential, nil, &policy.BearerTokenOptions{
		AuthorizationHandler: policy.AuthorizationHandler{OnRequest: c.request, OnChallenge: c.challenge},
	})
}

// request asks for a token if it is known which, and else lets the request go
// without one.
func (c *challenger) request(_ *policy.Request, authorize func(policy.TokenRequestOptions) error) error {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	if len(known.Scopes) == 0 {
		return nil
	}
	return authorize(known)
}

// challenge answers a 401, whose header [challengeGuard] has written.
func (c *challenger) challenge(
	req *policy.Request,
	resp *http.Response,
	authorize func(policy.TokenRequestOptions) error,
) error {
	asked, err := parseChallenge(resp.Header.Values(wwwAuthenticate), req.Raw().URL.Host, c.anyResource)
	if err != nil {
		return err
	}
	known := policy.TokenRequestOptions{Scopes: []string{asked.resource + "/.default"}, TenantID: asked.tenant}
	c.mu.Lock()
	c.known = known
	c.mu.Unlock()
	return authorize(known)
}
