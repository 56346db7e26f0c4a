// Package tenant is about the names of Entra ID's tenants: which are well-formed,
// and the GUID of each. It never knows what a tenant holds.
package tenant

import (
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

var (
	guidPattern   = lazyregexp.New(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	domainPattern = lazyregexp.New(`^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.)+[0-9A-Za-z-]{2,63}$`)
)

// Valid reports whether a name is well-formed: a GUID or a domain.
func Valid(name string) bool {
	return guidPattern().MatchString(name) || len(name) <= 253 && domainPattern().MatchString(name)
}

// ID is a tenant's GUID, by which tokens and issuers name it. A domain has
// one of its own, the same in every server.
func ID(name string) string {
	name = strings.ToLower(name)
	if guidPattern().MatchString(name) {
		return name
	}
	return ids.StableUUID("tenant", name)
}

// Any are the names in a path that stand for no tenant in particular.
var Any = []string{"common", "organizations", "consumers"}

// Refuse refuses a name that is no tenant, or none of the known ones. Each
// of these has two names, its domain and its GUID. Without known ones every
// well-formed name is a tenant.
func Refuse(tenant string, known []string) *refusal.Refusal {
	same := func(name string) bool { return strings.EqualFold(name, tenant) || ID(name) == ID(tenant) }
	switch strings.ToLower(tenant) {
	case "common", "consumers":
		return refusal.New(9001023, "The grant type is not supported over the /common or /consumers endpoints. "+
			"Please use the /organizations or tenant-specific endpoint.")
	case "organizations":
		return refusal.New(50194, "The application is not configured as a multi-tenant application. "+
			"Use a tenant-specific endpoint or configure the application to be multi-tenant.")
	}
	switch {
	case !Valid(tenant):
		return refusal.New(900023, "Specified tenant identifier '%s' is neither a valid DNS name, "+
			"nor a valid external domain.", tenant)
	case len(known) > 0 && !slices.ContainsFunc(known, same):
		return refusal.New(90002, "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are "+
			"signing into the correct cloud. Check with your subscription administrator, this may happen if there are "+
			"no active subscriptions for the tenant.", tenant)
	}
	return nil
}
