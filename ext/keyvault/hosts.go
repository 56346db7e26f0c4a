package keyvault

import (
	"net/url"
	"slices"
	"strings"
)

// hsmDomains are those of Azure's managed HSMs, which hold keys only.
var hsmDomains = []string{"managedhsm.azure.net", "managedhsm.azure.cn", "managedhsm.usgovcloudapi.net"}

// domains are those of Azure's vaults and managed HSMs. Each is also the resource
// that the tokens of its vaults are for. A vault under any other domain needs
// [DangerouslyAllowAnyChallenge].
var domains = append([]string{"vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net"}, hsmDomains...)

// isVaultOf reports whether a host is a vault under the domain, and the domain one
// of Azure's or under one of them.
func isVaultOf(host, domain string) bool {
	return strings.HasSuffix(strings.ToLower(host), "."+domain) &&
		slices.ContainsFunc(domains, func(known string) bool { return strings.HasSuffix("."+domain, "."+known) })
}

// isManagedHSM reports whether an address is of a managed HSM.
func isManagedHSM(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.ContainsFunc(hsmDomains, func(domain string) bool {
		return strings.HasSuffix(strings.ToLower(u.Hostname()), "."+domain)
	})
}
