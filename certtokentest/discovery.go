package certtokentest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// metadata answers RFC 8414 and OpenID Connect discovery.
func (s *Server) metadata(_ *http.Request, to route) *answer {
	base, keys, token := to.origin+to.base, "/jwks", "/token"
	switch {
	case s.cfg.generic:
	case to.dialect.tenants:
		keys, token = "/discovery/v2.0/keys", "/oauth2/v2.0/token"
	default: // ADFS
		keys, token = "/discovery/keys", "/oauth2/token"
	}
	issuer := s.issuerOf(to)
	switch to.tenant {
	case "common", "organizations", "consumers": // MSAL asks for them before it knows the tenant
		issuer = to.origin + "/{tenantid}/v2.0"
	default:
		if to.dialect.tenants {
			if f := s.refuseTenant(to.tenant); f != nil {
				return jsonAnswer(f.status, f.entraBody(s.now(), newUUID()))
			}
		}
	}
	meta := map[string]any{
		"issuer":                                           issuer,
		"token_endpoint":                                   base + token,
		"authorization_endpoint":                           base + strings.TrimSuffix(token, "token") + "authorize",
		"jwks_uri":                                         base + keys,
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"scopes_supported":                                 oidcScopes,
		"claims_supported":                                 idTokenClaims,
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"grant_types_supported":                            []string{grantClient, grantUser, grantCode, grantRefresh},
		"token_endpoint_auth_methods_supported":            []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": to.dialect.algorithms,
	}
	if s.cfg.generic {
		meta["authorization_response_iss_parameter_supported"] = true // RFC 9207
	}
	if to.dialect.aadsts { // by which some clients know the cloud
		meta["cloud_instance_name"] = "microsoftonline.com"
		meta["cloud_graph_host_name"] = "graph.windows.net"
		meta["msgraph_host"] = "graph.microsoft.com"
		meta["tenant_region_scope"] = "EU"
	}
	if s.wire != nil && s.cfg.generic { // RFC 8705 §5; without a socket there is no TLS
		meta["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}
		meta["tls_client_certificate_bound_access_tokens"] = true
		meta["mtls_endpoint_aliases"] = map[string]string{"token_endpoint": base + "/mtls" + token}
	}
	return jsonAnswer(http.StatusOK, mustJSON(meta))
}

// entraHosts are aliases of each other in MSAL's eyes.
var entraHosts = []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}

// instanceDiscovery answers the request that MSAL makes before its first token:
// is this host one of Entra ID's? Here every host that is asked about is.
func (s *Server) instanceDiscovery(r *http.Request, to route) *answer {
	asked, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || asked.Host == "" {
		f := refuse(50049, "Unknown or invalid instance: authorization_endpoint is no URL.")
		return jsonAnswer(f.status, f.entraBody(s.now(), newUUID()))
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(asked.Path, "/"), "/")
	networks := []map[string]any{network(entraHosts...)}
	for _, host := range []string{asked.Host, r.Host} {
		if !slices.Contains(entraHosts, host) {
			networks = append(networks, network(host))
		}
	}
	return jsonAnswer(http.StatusOK, mustJSON(map[string]any{
		"api-version":               "1.1",
		"tenant_discovery_endpoint": asked.Scheme + "://" + asked.Host + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"metadata":                  networks,
	}))
}

func network(hosts ...string) map[string]any {
	return map[string]any{"preferred_network": hosts[0], "preferred_cache": hosts[0], "aliases": hosts}
}

// keySet answers the public keys of access tokens (RFC 7517 §5).
func (s *Server) keySet(*http.Request, route) *answer {
	key, err := sharedTokenKey()
	if err != nil {
		return jsonAnswer(http.StatusInternalServerError, mustJSON(map[string]string{"error": "server_error"}))
	}
	return jsonAnswer(http.StatusOK, mustJSON(map[string]any{"keys": []any{key.jwk()}}))
}
