package cache

import (
	"hash/maphash"
	"maps"
	"net/url"
	"slices"
)

// Key is what a token was asked for.
type Key struct {
	Tenant string
	User   string   // who the token acts for; "": the client acts as itself
	Agent  string   // the identity that the client acts through; "": none
	Scopes []string // as given by the caller who asked first, without duplicates

	// Parameters are sent beside the rest. The order of a name's values counts, and
	// each name has at least one.
	Parameters url.Values
}

// maxUnsorted is the largest number of scopes that are compared without a lock:
// the comparison takes time in the square of it.
const maxUnsorted = 32

// isLong reports whether the key's slot is only looked for under the table's mutex.
func (k *Key) isLong() bool { return len(k.Scopes) > maxUnsorted }

// hash returns the same for the same scopes in any order. It allocates nothing.
func (k *Key) hash(seed maphash.Seed) uint32 {
	var h uint64
	for _, s := range k.Scopes {
		h += maphash.String(seed, s)
	}
	if k.Tenant != "" {
		h ^= maphash.String(seed, k.Tenant) * 0x9e3779b97f4a7c15
	}
	if k.User != "" {
		h ^= maphash.String(seed, k.User) * 0xbf58476d1ce4e5b9
	}
	if k.Agent != "" {
		h ^= maphash.String(seed, k.Agent) * 0x94d049bb133111eb
	}
	if len(k.Parameters) == 0 {
		return uint32(h ^ h>>32)
	}
	for name, values := range k.Parameters { // in any order
		one := maphash.String(seed, name)
		for _, value := range values {
			one = one*0xff51afd7ed558ccd + maphash.String(seed, value)
		}
		h += (one ^ one>>32) * 0xc4ceb9fe1a85ec53 // a sum of the parts alone would be the same if values were exchanged
	}
	return uint32(h ^ h>>32)
}

// Kinds of parts that a key may have, each a bit.
const (
	hasTenant = 1 << iota
	hasUser
	hasAgent
	hasParameters
)

// present has a bit for each kind of part that a key has. It is what the key's text
// begins with, so that nothing is to be read for the parts that most keys don't have.
func (k *Key) present() (bits byte) {
	if k.Tenant != "" {
		bits = hasTenant
	}
	if k.User != "" {
		bits |= hasUser
	}
	if k.Agent != "" {
		bits |= hasAgent
	}
	if len(k.Parameters) != 0 {
		bits |= hasParameters
	}
	return bits
}

// appendText appends a text that no other key has: what there is, and then that, each
// part behind its length, each list behind its number. Parameters are sorted by their
// names.
func (k *Key) appendText(text []byte) []byte {
	text = append(text, k.present())
	for _, part := range [...]string{k.Tenant, k.User, k.Agent} {
		if part != "" {
			text = appendPart(text, part)
		}
	}
	text = appendList(text, k.Scopes)
	if len(k.Parameters) == 0 {
		return text
	}
	names := slices.Sorted(maps.Keys(k.Parameters))
	text = appendNumber(text, len(names))
	for _, name := range names {
		text = appendPart(text, name)
		text = appendList(text, k.Parameters[name])
	}
	return text
}

// keyOfText is the key that a text was made of. Its strings are parts of the text.
func keyOfText(text string) Key {
	var k Key
	present, text := text[0], text[1:]
	for i, part := range [...]*string{&k.Tenant, &k.User, &k.Agent} {
		if present&(hasTenant<<i) != 0 {
			*part, text = cutPart(text)
		}
	}
	k.Scopes, text = cutList(text)
	if present&hasParameters == 0 {
		return k
	}
	n, text := cutNumber(text)
	k.Parameters = make(url.Values, n)
	for range n {
		var name string
		name, text = cutPart(text)
		k.Parameters[name], text = cutList(text)
	}
	return k
}

// tenantOfText is the tenant of the key that a text was made of.
func tenantOfText(text string) string {
	if text[0]&hasTenant == 0 {
		return ""
	}
	tenant, _ := cutPart(text[1:])
	return tenant
}

// hasText reports whether a text is that of k, or of the same with the scopes in
// another order. It goes through the text once and allocates nothing.
func (k *Key) hasText(text string) bool {
	if text[0] != k.present() {
		return false
	}
	text, is := text[1:], true
	if k.Tenant != "" {
		if text, is = cutSame(text, k.Tenant); !is {
			return false
		}
	}
	if k.User != "" {
		if text, is = cutSame(text, k.User); !is {
			return false
		}
	}
	if k.Agent != "" {
		if text, is = cutSame(text, k.Agent); !is {
			return false
		}
	}
	n, text := cutNumber(text)
	if n != len(k.Scopes) {
		return false
	}
	// The text has no scope twice and the numbers are equal, so if k asks for every
	// scope of the text, it asks for nothing else.
	for _, scope := range k.Scopes {
		rest, is := cutSame(text, scope)
		if !is {
			if scope, rest = cutPart(text); !slices.Contains(k.Scopes, scope) {
				return false
			}
		}
		text = rest
	}
	return len(k.Parameters) == 0 || k.hasParameters(text)
}

// hasParameters reports whether k's parameters are those at the end of a text.
func (k *Key) hasParameters(text string) bool {
	n, text := cutNumber(text)
	if n != len(k.Parameters) {
		return false
	}
	for range n {
		var name, value string
		name, text = cutPart(text)
		values, is := k.Parameters[name]
		var number int
		if number, text = cutNumber(text); !is || number != len(values) {
			return false
		}
		for i := range number {
			if value, text = cutPart(text); value != values[i] {
				return false
			}
		}
	}
	return true
}
