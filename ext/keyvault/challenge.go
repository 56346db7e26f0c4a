package keyvault

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// challenger learns from the vault's first answer, a 401 without any token,
// which tenant the vault trusts and what its tokens are for. The SDK's own
// clients do the same, each for itself.
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

// challenge answers a 401.
func (c *challenger) challenge(req *policy.Request, resp *http.Response, authorize func(policy.TokenRequestOptions) error) error {
	known, err := c.parse(resp.Header.Values("WWW-Authenticate"), req.Raw().URL.Host)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.known = known
	c.mu.Unlock()
	return authorize(known)
}

// challengeParam matches a parameter of a challenge; the vault separates them by
// commas, blanks or both.
var challengeParam = regexp.MustCompile(`(\w+)="([^"]*)"`)

// parse reads a vault's challenge: Bearer authorization="https://host/tenant",
// resource="https://domain".
func (c *challenger) parse(header []string, vault string) (policy.TokenRequestOptions, error) {
	params := make(map[string]string)
	for _, match := range challengeParam.FindAllStringSubmatch(strings.Join(header, ", "), -1) {
		params[match[1]] = match[2]
	}
	scope := params["scope"]
	if scope == "" {
		scope = params["resource"]
	}
	if scope == "" {
		return policy.TokenRequestOptions{}, errors.New("the vault's authentication challenge names no resource")
	}
	resource, err := url.Parse(scope)
	if err != nil || resource.Host == "" {
		return policy.TokenRequestOptions{}, fmt.Errorf("the vault's authentication challenge names resource %q, which is no URL", shorten(scope))
	}
	if !c.anyResource && !strings.HasSuffix(strings.ToLower(vault), "."+strings.ToLower(resource.Host)) {
		return policy.TokenRequestOptions{}, fmt.Errorf(
			"the vault's authentication challenge asks for a token for %q, which %s isn't part of: the token stays here", shorten(scope), vault)
	}
	if !strings.HasSuffix(scope, "/.default") {
		scope += "/.default"
	}
	return policy.TokenRequestOptions{Scopes: []string{scope}, TenantID: tenantOf(params["authorization"])}, nil
}

// tenantOf is the first segment of an authority's path, or "".
func tenantOf(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return tenant
}
