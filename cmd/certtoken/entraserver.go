package main

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/internal/syntax"
)

// cloudHosts are the hosts of the clouds that --authority knows by a name. Any cloud is also
// known by the URL of its host.
var cloudHosts = map[string]string{
	"entra":       "login.microsoftonline.com",
	"entra-usgov": "login.microsoftonline.us",
	"entra-china": "login.partner.microsoftonline.cn",
}

// cloudGraphs are the resources of Microsoft Graph, which every application may ask for a
// token for, by the hosts of the national clouds.
var cloudGraphs = map[string]string{
	"login.microsoftonline.us":         "https://graph.microsoft.us",
	"login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
}

// graphScope is the scope of Microsoft Graph at a server with this origin. Another endpoint
// that speaks Entra ID's dialect has that of the public cloud.
func graphScope(origin string) string {
	return cmp.Or(cloudGraph(origin), "https://graph.microsoft.com") + "/.default"
}

// cloudGraph is Microsoft Graph in the national cloud with this origin, or "".
func cloudGraph(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return cloudGraphs[entraHostOf(u)]
}

// entraHostOf is the host of the cloud of Entra ID that a URL names, or "".
func entraHostOf(u *url.URL) string {
	if port := u.Port(); port != "" && port != "443" {
		return ""
	}
	return syntax.EntraHost(u.Hostname())
}

// isOfEntra reports whether a URL is that of a cloud of Entra ID.
func isOfEntra(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && entraHostOf(u) != ""
}

// entraByURL is Entra ID where --authority is the URL of a cloud's host, alone or with the
// tenant, as in the issuer of its tokens: https://login.microsoftonline.com/TENANT/v2.0.
func (f *serverFlags) entraByURL(u *url.URL, host string) (*server, error) {
	tenant, rest, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case u.Scheme != "https":
		return nil, failure.Usagef("--authority: Entra ID is asked by https only")
	case u.RawQuery != "" || u.Fragment != "" || rest != "" && rest != "v2.0":
		return nil, failure.Usagef("--authority: behind Entra ID's host there can be the tenant and nothing else").
			Advise("Give https://" + host + "/TENANT, or --authority entra and --tenant TENANT.")
	case tenant != "" && f.tenant != "" && !strings.EqualFold(tenant, f.tenant):
		return nil, failure.Usagef("--authority and --tenant name different tenants").Advise("Leave one of them out.")
	case tenant != "":
		f.tenant = tenant
	}
	return f.entra(host), nil
}

// namesTenant reports whether --authority is a URL of Entra ID with the tenant in it.
func namesTenant(authority string) bool {
	u, err := url.Parse(withScheme(authority))
	return err == nil && entraHostOf(u) != "" && strings.Trim(u.Path, "/") != ""
}

// namesEntra reports whether --authority is Entra ID, by a cloud's name or by its URL.
func namesEntra(authority string) bool {
	return cloudHosts[strings.ToLower(authority)] != "" || isOfEntra(withScheme(authority))
}

// withScheme makes a URL of a cloud's host that stands alone, as AZURE_AUTHORITY_HOST may
// have it. Any other text stays as it is.
func withScheme(authority string) string {
	if url := "https://" + authority; isOfEntra(url) {
		return url
	}
	return authority
}

// entraOfEnvironment is Entra ID where neither --authority nor --token-url says which
// cloud: the environment names its host and its region.
func (f *serverFlags) entraOfEnvironment() (*server, error) {
	if userinfo.In(azureenv.Get(azureenv.AuthorityHost)) {
		return nil, failure.Usagef("%s has a user or a password in it", azureenv.AuthorityHost).Advise(withoutUser)
	}
	host, err := azureenv.Host()
	if err != nil {
		return nil, failure.Usagef("%w", err).Advise("Or give --authority, which wins over it.")
	}
	s := f.entra(cloudHosts["entra"])
	if host != "" {
		s.dialect = append(s.dialect, certtoken.WithHost(host))
		s.origin = "https://" + host
	}
	if region := azureenv.RegionName(); region != "" {
		s.dialect = append(s.dialect, certtoken.WithRegion(region))
		s.origin = "https://" + region + ".login.microsoft.com"
	}
	return s, nil
}

// entra is the cloud of Entra ID that requests tokens at this host.
func (f *serverFlags) entra(host string) *server {
	if f.tokenURL != "" {
		return f.entraElsewhere()
	}
	if f.tenant == "" {
		f.tenant = azureenv.Get(azureenv.TenantID)
	}
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.Entra(f.tenant, append([]certtoken.AuthorityOption{certtoken.WithHost(host)}, opts...)...)
		},
		entra:      true,
		onBehalfOf: true,
		needTenant: true,
		origin:     "https://" + host,
	}
}

// entraElsewhere is Entra ID's dialect at another endpoint: a regional one, an
// External ID tenant, "certtoken serve".
func (f *serverFlags) entraElsewhere() *server {
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.Issuer(f.tokenURL, f.tokenURL, opts...)
		},
		dialect: []certtoken.AuthorityOption{
			certtoken.WithAlgorithm(certtoken.PS256),
			certtoken.WithAssertionType("JWT"),
			certtoken.WithLifetime(5 * time.Minute),
		},
		entra:      true,
		onBehalfOf: true,
		origin:     originOf(f.tokenURL),
	}
}
