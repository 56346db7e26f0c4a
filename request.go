package certtoken

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Bounds of what a request may ask for.
const (
	maxScopes    = 256
	maxScopeText = 16 << 10
)

// Request says which token is wanted. With all fields but Scopes zero it is what
// [Client.Token] asks for.
type Request struct {
	// Scopes are asked for together, in any order. Entra ID takes one resource
	// for each request, written {resource}/.default.
	Scopes []string

	// Grant is what the client sends to be given the token. By default the client acts
	// as itself.
	Grant Grant

	// Tenant is the authority's if empty; another must be allowed by [WithTenants].
	Tenant string

	// Claims is the JSON object of a claims challenge, at most 16 KiB. The cache isn't
	// asked, and the new token replaces the cached one.
	Claims string

	// Fresh asks the token endpoint even if the cache has a token. If a request for the
	// same token is under way already, its token is the result.
	Fresh bool

	// MinValidity is how long the token must at least be valid from now on, for a long
	// job. If a new one isn't valid for so long either, the error wraps [ErrShortLived].
	// It must not be negative, and is an error with a grant that is redeemed once.
	MinValidity time.Duration
}

// key checks what a request asks for and makes the key under which its token is cached.
func (req Request) key(authority Authority, cfg *config) (cache.Key, error) {
	scopes, err := canonical(req.Scopes)
	if err != nil {
		return cache.Key{}, err
	}
	grant := req.Grant.params()
	if grant.err != nil {
		return cache.Key{}, fmt.Errorf("%s: %w", grant.name, grant.err)
	}
	if len(scopes) == 0 && authority.host != "" && !grant.once {
		return cache.Key{}, errors.New("no scope: Entra ID wants one resource, written {resource}/.default")
	}
	if err := claims.Check(req.Claims); err != nil {
		return cache.Key{}, err
	}
	if req.MinValidity < 0 {
		return cache.Key{}, fmt.Errorf("MinValidity %v is negative", req.MinValidity)
	}
	if req.MinValidity > 0 && grant.once {
		return cache.Key{}, fmt.Errorf("%s: MinValidity is for tokens that are cached", grant.name)
	}
	tenant := strings.ToLower(req.Tenant)
	if tenant == strings.ToLower(authority.tenant) {
		tenant = ""
	}
	if tenant != "" && !cfg.tenants[tenant] {
		if !cfg.anyTenant {
			return cache.Key{}, fmt.Errorf("tenant %q is not allowed: name it in WithTenants",
				redact.Short(tenant))
		}
		if err := syntax.CheckTenant(tenant); err != nil {
			return cache.Key{}, err
		}
	}
	return cache.Key{Tenant: tenant, User: grant.user, Scopes: scopes}, nil
}

// canonical splits scopes at spaces and drops duplicates. The order stays as given,
// because the scopes are sent in that order.
func canonical(scopes []string) ([]string, error) {
	list := make([]string, 0, len(scopes))
	length := 0
	for _, given := range scopes {
		for _, s := range strings.Fields(given) {
			if !syntax.IsScope(s) {
				return nil, fmt.Errorf(
					"scope %q has characters that no scope may have (RFC 6749 §3.3)",
					redact.Short(s),
				)
			}
			if slices.Contains(list, s) {
				continue
			}
			if length += len(s); length > maxScopeText || len(list) >= maxScopes {
				return nil, fmt.Errorf("more than %d scopes or %d bytes of them", maxScopes, maxScopeText)
			}
			list = append(list, s)
		}
	}
	return list, nil
}
