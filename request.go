package certtoken

import (
	"errors"
	"fmt"
	"net/url"
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

// maxAgent bounds the client id of an agent identity, in bytes.
const maxAgent = 128

// paramFMIPath names, in the request for a leg, whom the leg's token is for.
const paramFMIPath = "fmi_path"

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

	// Agent is the client id of an agent identity of Entra ID, for which the client is the
	// blueprint. The token is then the agent's: its own, on behalf of a user ([OnBehalfOf],
	// with a token that was issued for the blueprint), or as its own user ([AgentUser]). The
	// tenant must be the one that the agent lives in, so [WithTenants] must allow it if it
	// isn't the client's. The assertion that the agent shows comes from a request of the
	// client's own to that tenant, and is cached and renewed as other tokens are. Entra ID
	// may want [WithX5C] for that request.
	Agent string

	// Parameters are sent in the form beside the rest: resource (RFC 8707, may repeat),
	// audience, authorization_details (RFC 9396) or whatever else the server knows. At most
	// 64 values of 16 KiB together, which are UTF-8 without control characters. Those that the
	// library sets can't be given, and neither can one of [WithQuery]. The values of a name
	// replace those of [WithParameter]. Tokens are cached apart by their parameters, in which
	// the order of a name's values counts. They must not be secret: an error may repeat what
	// the server said about them. Hooks and the log get their names only.
	Parameters url.Values

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

	// Refused is a token that a resource refused, for a program that calls it without a
	// [Transport]: any token but this one. If the cache has another by now, that is the
	// result. Otherwise all who ask wait for one request, of which a token of the cache
	// starts one a minute; within that minute, what the request brought is the result, or an
	// error if that is refused as well. Callers who don't give Refused keep the cached token
	// until the new one is there.
	//
	// Give it only after the resource refused the token as such, and repeat the call once. It
	// is an error together with Fresh or with a grant that is redeemed once.
	Refused *Token

	// CorrelationID is sent as the client-request-id if this request goes to the token
	// endpoint, in place of a random one. It is in the error and in the events of the
	// request. Callers who join a request that is under way share its id, and a token from
	// the cache has none. At most 128 printable ASCII characters without spaces; Entra ID
	// takes a UUID only.
	CorrelationID string
}

// maxCorrelationID bounds a caller's id, in bytes.
const maxCorrelationID = 128

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
	if len(scopes) == 0 && authority.host != "" && !grant.once && grant.kind != kindSession {
		return cache.Key{}, errors.New("no scope: Entra ID wants one resource, written {resource}/.default")
	}
	if authority.host != "" {
		if err := checkResources(scopes); err != nil {
			return cache.Key{}, err
		}
	}
	if err := claims.Check(req.Claims); err != nil {
		return cache.Key{}, err
	}
	if err := req.checkUse(grant); err != nil {
		return cache.Key{}, err
	}
	parameters, err := checkedParameters(req.Parameters)
	if err != nil {
		return cache.Key{}, err
	}
	for name := range parameters {
		if authority.query.Has(name) {
			return cache.Key{}, fmt.Errorf("parameter %q is in the URL already: WithQuery sends it", name)
		}
	}
	if err := grant.check(authority, parameters); err != nil {
		return cache.Key{}, err
	}
	if err := req.checkAgent(authority, grant); err != nil {
		return cache.Key{}, err
	}
	tenant, err := req.otherTenant(authority, cfg)
	if err != nil {
		return cache.Key{}, err
	}
	return cache.Key{
		Tenant: tenant, User: grant.user, Agent: strings.Clone(req.Agent), Scopes: scopes, Parameters: parameters,
	}, nil
}

// checkAgent reports why a request can't be made for its agent.
func (req Request) checkAgent(authority Authority, grant grantParams) error {
	switch {
	case req.Agent == "" && grant.kind == kindAgentUser:
		return errors.New("AgentUser: name the agent whose user it is in Request.Agent")
	case req.Agent == "":
		return nil
	case len(req.Agent) > maxAgent || !syntax.IsVisible(req.Agent):
		return fmt.Errorf("agent %q is not a client id", redact.Short(req.Agent))
	case authority.host == "":
		return errors.New("Request.Agent is for agent identities of Entra ID")
	case authority.cloud.exchange == "":
		return errors.New("Request.Agent: the audience of this cloud's federated credentials is not known")
	case authority.tlsBound:
		return errors.New("Request.Agent: WithCertificateBoundTokens isn't for agents; WithMTLSPoP binds their tokens")
	case req.Parameters.Has(paramFMIPath):
		return fmt.Errorf("parameter %q is sent for Request.Agent and can't be given", paramFMIPath)
	}
	return nil
}

// checkUse checks the fields that say how the cache is used.
func (req Request) checkUse(grant grantParams) error {
	switch {
	case req.MinValidity < 0:
		return fmt.Errorf("MinValidity %v is negative", req.MinValidity)
	case req.MinValidity > 0 && grant.once:
		return fmt.Errorf("%s: MinValidity is for tokens that are cached", grant.name)
	case req.Refused != nil && grant.once:
		return fmt.Errorf("%s: Refused is for tokens that are cached", grant.name)
	case req.Refused != nil && req.Fresh:
		return errors.New("request with Refused and Fresh: they exclude each other, " +
			"and Fresh asks the token endpoint in any case")
	case len(req.CorrelationID) > maxCorrelationID || !syntax.IsVisible(req.CorrelationID):
		return fmt.Errorf("CorrelationID %q is not at most %d printable ASCII characters without spaces",
			redact.Short(req.CorrelationID), maxCorrelationID)
	}
	return nil
}

// checkReusable refuses a request that can't be used again and again, by a handle.
func (req Request) checkReusable() error {
	switch grant := req.Grant.params(); {
	case grant.once:
		return fmt.Errorf("%s is redeemed once, for one token, and this handle needs one for each request: "+
			"acquire the token with Client.Acquire and set the header Authorization, "+
			"or act for a user with OnBehalfOf", grant.name)
	case req.Fresh:
		return errors.New("the field Fresh would ask the token endpoint at every request: " +
			"leave it out, a token that was refused is renewed anyway")
	case req.Claims != "":
		return errors.New("the field Claims would ask the token endpoint at every request: " +
			"leave them out, challenges are answered anyway")
	case req.Refused != nil:
		return errors.New("the field Refused is about one token and can't be used for every request: " +
			"give it to Client.Acquire")
	case req.CorrelationID != "":
		return errors.New("the field CorrelationID is for one request: give it to Client.Acquire")
	}
	return nil
}

// otherTenant is the request's tenant in lower case, or "" if it is the authority's. The
// error says that it isn't allowed.
func (req Request) otherTenant(authority Authority, cfg *config) (string, error) {
	tenant := strings.ToLower(req.Tenant)
	if tenant == strings.ToLower(authority.tenant) {
		return "", nil
	}
	if tenant == "" || cfg.tenants[tenant] {
		return tenant, nil
	}
	if !cfg.anyTenant {
		return "", notAllowed(tenant, authority.tenant)
	}
	return tenant, syntax.CheckTenant(tenant)
}

// notAllowed is the error about a tenant that isn't the client's. Nothing here knows which
// GUID belongs to which domain, so a client's own tenant may be refused under its other name.
func notAllowed(tenant, own string) error {
	if syntax.IsGUID(tenant) != syntax.IsGUID(own) && own != "" {
		return fmt.Errorf("tenant %q is not allowed: if it is %q by its other name, give the authority the name "+
			"that requests use; if it is another one, name it in WithTenants", redact.Short(tenant), redact.Short(own))
	}
	return fmt.Errorf("tenant %q is not allowed: name it in WithTenants", redact.Short(tenant))
}

// event is the event of a request that failed.
func (req Request) event(err error) Event {
	e := eventAbout(&cache.Key{Tenant: req.Tenant, Agent: req.Agent, Scopes: req.Scopes, Parameters: req.Parameters})
	e.Err = err
	return e
}

// checkResources refuses scopes that name two resources as a whole. Entra ID would refuse
// the request, and speak of neither (AADSTS28000, AADSTS70011).
func checkResources(scopes []string) error {
	first := ""
	for _, s := range scopes {
		if !strings.HasSuffix(strings.ToLower(s), "/.default") {
			continue
		}
		if first != "" {
			return fmt.Errorf("%q and %q are two resources, and Entra ID grants a token for one: make a request for each",
				redact.Short(first), redact.Short(s))
		}
		first = s
	}
	return nil
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
