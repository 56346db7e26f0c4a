package certtokentest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
)

// metadata answers RFC 8414 and OpenID Connect discovery.
func (e *endpoint) metadata(to route) *answer.Answer {
	if to.dialect.tenants && !slices.Contains(tenant.Any, to.tenant) { // MSAL asks for these before it knows the tenant
		if f := tenant.Refuse(to.tenant, e.cfg.tenants); f != nil {
			return e.discoveryRefused(to, f)
		}
	}
	meta := e.commonMetadata(to)
	switch {
	case to.dialect.aadsts: // by which some clients know the cloud
		meta["cloud_instance_name"] = "microsoftonline.com"
		meta["cloud_graph_host_name"] = "graph.windows.net"
		meta["msgraph_host"] = "graph.microsoft.com"
		meta["tenant_region_scope"] = "EU"
	case e.cfg.generic:
		if e.proofs != nil {
			meta["dpop_signing_alg_values_supported"] = e.proofs.Algorithms() // RFC 9449 §5.1
		}
		meta["authorization_response_iss_parameter_supported"] = true // RFC 9207
		if e.announceTLS {
			announceTLS(meta, to)
		}
	}
	if to.place == atSmart {
		meta["capabilities"] = []string{"client-confidential-asymmetric", "permission-v2"}
	}
	return answer.JSON(http.StatusOK, meta)
}

func (e *endpoint) commonMetadata(to route) map[string]any {
	keys, token := places(to)
	base := to.origin + to.base
	return map[string]any{
		"issuer":                                           e.cfg.issuerOf(to),
		"token_endpoint":                                   base + token,
		"authorization_endpoint":                           base + strings.TrimSuffix(token, "token") + "authorize",
		"jwks_uri":                                         base + keys,
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{responseByQuery, responseByForm},
		"code_challenge_methods_supported":                 []string{"S256"},
		"scopes_supported":                                 oidcScopes,
		"claims_supported":                                 idTokenClaims,
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"grant_types_supported":                            grantsOf(to),
		"token_endpoint_auth_methods_supported":            []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": to.dialect.rules.Algorithms,
	}
}

// grantsOf are the grants that the metadata list.
func grantsOf(to route) []string {
	known := []string{grantClient, grantUser, grantCode, grantRefresh}
	if to.dialect.profile == grants.RFC9068 {
		known = append(known, grantExchange)
	}
	return known
}

// places are the paths of the keys and of the token endpoint.
func places(to route) (keys, token string) {
	switch to.dialect.profile {
	case grants.EntraV2:
		return "/discovery/v2.0/keys", "/oauth2/v2.0/token"
	case grants.EntraV1, grants.ADFS:
		return "/discovery/keys", "/oauth2/token"
	}
	return "/jwks", "/token"
}

// announceTLS says that a certificate in TLS proves a client and binds its tokens
// (RFC 8705 §2.1.1, §2.2.1, §3.3 and §5).
func announceTLS(meta map[string]any, to route) {
	_, token := places(to)
	meta["token_endpoint_auth_methods_supported"] = []string{
		"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth",
	}
	meta["tls_client_certificate_bound_access_tokens"] = true
	meta["mtls_endpoint_aliases"] = map[string]string{"token_endpoint": to.origin + to.base + "/mtls" + token}
}

// discoveryRefused refuses what isn't a token request.
func (e *endpoint) discoveryRefused(to route, f *refusal.Refusal) *answer.Answer {
	return to.refusal(f, e.tuned().form, e.now(), "")
}

// entraHosts are aliases of each other in MSAL's eyes.
var entraHosts = []string{
	"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net",
}

// instanceDiscovery answers the request that MSAL makes before its first token,
// which asks whether a host is one of Entra ID's. Here every host that is asked
// about is.
func (e *endpoint) instanceDiscovery(r *http.Request, to route) *answer.Answer {
	asked, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || asked.Host == "" {
		return e.discoveryRefused(
			to,
			refusal.New(50049, "Unknown or invalid instance: authorization_endpoint is no URL."),
		)
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(asked.Path, "/"), "/")
	networks := []map[string]any{network(entraHosts...)}
	for _, host := range []string{asked.Host, r.Host} {
		if !slices.Contains(entraHosts, host) {
			networks = append(networks, network(host))
		}
	}
	place := asked.Scheme + "://" + asked.Host + "/" + tenant + "/v2.0/.well-known/openid-configuration"
	return answer.JSON(http.StatusOK, map[string]any{
		"api-version":               "1.1",
		"tenant_discovery_endpoint": place,
		"metadata":                  networks,
	})
}

func network(hosts ...string) map[string]any {
	return map[string]any{"preferred_network": hosts[0], "preferred_cache": hosts[0], "aliases": hosts}
}

// keySet answers the public keys of tokens (RFC 7517 §5).
func keySet() *answer.Answer {
	return answer.JSON(http.StatusOK, map[string]any{"keys": []any{grants.SharedKey().JWK()}})
}
