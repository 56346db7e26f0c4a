package keyvault

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/certtoken/certtoken/certsource"
)

// maxChallenge bounds the bytes of a challenge that are read. A vault's own are
// about 150 bytes long, and claims add a few hundred.
const maxChallenge = 16 << 10

// challenge is what a vault's 401 asks for.
type challenge struct {
	resource string // URL, without a slash at its end; "" if there is none
	tenant   string // "" if there is none
	claims   string // base64, of continuous access evaluation; "" if there are none
}

// challengeParam matches a parameter of a challenge. The vault separates them by
// commas, blanks or both.
var challengeParam = regexp.MustCompile(`(\w+)="([^"]*)"`)

// parseChallenge reads the WWW-Authenticate header of a vault's answer:
//
//	Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"
//
// The resource must be the domain of the vault and one of [domains], unless
// anyResource is true. Otherwise a host that only poses as a vault could ask for a token that
// something else accepts.
func parseChallenge(header []string, vault string, anyResource bool) (challenge, error) {
	text := strings.Join(header, ", ")
	if len(text) > maxChallenge {
		return challenge{}, fmt.Errorf("the vault's authentication challenge has more than %d bytes", maxChallenge)
	}
	params := make(map[string]string)
	for _, match := range challengeParam.FindAllStringSubmatch(text, -1) {
		params[strings.ToLower(match[1])] = match[2]
	}
	asked := challenge{tenant: tenantOf(params["authorization"])}
	if params["error"] == "insufficient_claims" && base64Pattern.MatchString(params["claims"]) {
		asked.claims = params["claims"]
	}
	said := cmp.Or(params["scope"], params["resource"])
	if said == "" {
		return asked, nil
	}
	resource, err := parseResource(said)
	if err != nil {
		return challenge{}, err
	}
	if !anyResource && !isVaultOf(vault, resource.Host) {
		return challenge{}, fmt.Errorf("the vault's authentication challenge asks for a token for %q, "+
			"which isn't the Azure domain that %s is part of: the token stays here", certsource.Text(said, maxName), vault)
	}
	asked.resource = resource.String()
	return asked, nil
}

// base64Pattern matches claims as they stand in a challenge.
var base64Pattern = regexp.MustCompile(`^[0-9A-Za-z+/=]+$`)

// parseResource takes an https URL that is a host and nothing else: the resource of
// a token, or its scope, which ends in /.default.
func parseResource(said string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(said, "/.default"))
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the vault's authentication challenge names resource %q, which is no URL",
			certsource.Text(said, maxName))
	}
	host := strings.ToLower(u.Host)
	if clean := "https://" + host; !strings.EqualFold(strings.TrimSuffix(u.String(), "/"), clean) ||
		!hostPattern.MatchString(host) {
		return nil, fmt.Errorf(
			"the vault's authentication challenge names resource %q, which is more or less than https://host",
			certsource.Text(said, maxName),
		)
	}
	return &url.URL{Scheme: "https", Host: host}, nil
}

// hostPattern matches hosts. Addresses and ports are for [DangerouslyAllowAnyChallenge].
var hostPattern = regexp.MustCompile(`^([0-9a-z-]+(\.[0-9a-z-]+)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?$`)

var tenantPattern = regexp.MustCompile(`^[0-9A-Za-z.-]{1,253}$`)

// tenantOf is the first segment of the path of an authority such as
// https://login.microsoftonline.com/tenant, or "" if that can't be a tenant.
func tenantOf(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !tenantPattern.MatchString(tenant) {
		return ""
	}
	return tenant
}

// header writes the challenge as a vault does.
func (c challenge) header() string {
	var params []string
	add := func(name, value string) { params = append(params, name+`="`+value+`"`) }
	if c.tenant != "" {
		add("authorization", "https://login.microsoftonline.com/"+c.tenant)
	}
	if c.resource != "" {
		add("resource", c.resource)
	}
	if c.claims != "" {
		add("error", "insufficient_claims")
		add("claims", c.claims)
	}
	return "Bearer " + strings.Join(params, ", ")
}

// challengeGuard is a policy between a vault and the SDK's policies that answer its
// challenges. Those split a challenge at other places than this package does,
// accept a resource by the end of its host's name alone, and panic at some
// authorities. So they never see what the vault wrote: they get a challenge that
// was read here, was found good and is written anew.
type challengeGuard struct{ anyResource bool }

// Do implements policy.Policy.
func (g challengeGuard) Do(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	if err != nil || resp.StatusCode != http.StatusUnauthorized || len(resp.Header.Values(wwwAuthenticate)) == 0 {
		return resp, err
	}
	asked, err := parseChallenge(resp.Header.Values(wwwAuthenticate), req.Raw().URL.Host, g.anyResource)
	if err == nil && asked.resource == "" && req.Raw().Header.Get("Authorization") == "" {
		err = errors.New("the vault's authentication challenge names no resource")
	}
	if err != nil {
		resp.Body.Close()
		return nil, challengeError{err}
	}
	if asked.resource == "" && asked.claims == "" {
		resp.Header.Del(wwwAuthenticate) // a refusal of the token, and no challenge
	} else {
		resp.Header.Set(wwwAuthenticate, asked.header())
	}
	return resp, nil
}

const wwwAuthenticate = "WWW-Authenticate"

// challengeError is a challenge that isn't answered. The SDK doesn't repeat a
// request that failed with it.
type challengeError struct{ error }

// NonRetriable marks the error for azcore's retry policy. It does nothing.
func (challengeError) NonRetriable() {}
