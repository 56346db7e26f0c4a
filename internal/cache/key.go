package cache

import (
	"hash/maphash"
	"slices"
	"strings"
)

// Key is what a token was asked for.
type Key struct {
	Tenant string
	User   string   // who the token acts for; "": the client acts as itself
	Scopes []string // as given by whoever asked first, without duplicates
}

// matches reports whether tenant, user and scopes ask for the same as k, with the
// scopes in any order. It allocates nothing.
func (k *Key) matches(tenant, user string, scopes []string) bool {
	if len(k.Scopes) != len(scopes) || k.Tenant != tenant || k.User != user {
		return false
	}
	if len(scopes) == 1 {
		return k.Scopes[0] == scopes[0]
	}
	if slices.Equal(k.Scopes, scopes) {
		return true
	}
	// k has no duplicates and the numbers are equal, so if every scope of k is
	// asked for, nothing else is.
	for _, s := range k.Scopes {
		if !slices.Contains(scopes, s) {
			return false
		}
	}
	return true
}

// maxUnsorted is the largest number of scopes that are compared without a lock:
// the comparison above takes time in the square of it.
const maxUnsorted = 32

// hashKey returns the same for the same scopes in any order.
func hashKey(seed maphash.Seed, tenant, user string, scopes []string) uint32 {
	var h uint64
	for _, s := range scopes {
		h += maphash.String(seed, s)
	}
	if tenant != "" {
		h ^= maphash.String(seed, tenant) * 0x9e3779b97f4a7c15
	}
	if user != "" {
		h ^= maphash.String(seed, user) * 0xbf58476d1ce4e5b9
	}
	return uint32(h)
}

// clone returns a key with strings of its own: a scope that a caller gave may be
// a part of a large text, which the cache would keep in memory.
func (k Key) clone() Key {
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = strings.Clone(s)
	}
	return Key{Tenant: strings.Clone(k.Tenant), User: k.User, Scopes: scopes}
}
