package certtoken

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/seal"
)

// No two different requests have an entry of one name in a store. The requests are made of
// few texts, among them those that would be mistaken for each other if parts were joined
// by a separator or a word, so that many of them differ in one place only.
func TestNoTwoRequestsHaveOneStoreEntry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pools := [][]string{
		{"a", "b", "a b", "ab"},
		{"a", `"a"`, `a" "a`, `"a" "a"`},
		{"a=b", "a", "b", "aa=b", "a=b&a=b"},
		{"a", "%61", "[a]", "a:[a]", "a,a"},
		{"\x01a", "a", "\x00", "\xff", `\xff`},
		{"with a=b", "able to a", "on behalf of a", "bound to a", "the lock", "a"},
	}
	var texts []string
	text := func() string { return texts[random.IntN(len(texts))] }
	maybe := func() string {
		if random.IntN(2) == 0 {
			return ""
		}
		return text()
	}
	list := func(most int) (all []string) {
		for range random.IntN(most + 1) {
			all = append(all, text())
		}
		return all
	}
	values := func() url.Values {
		var all url.Values
		for range random.IntN(3) {
			if values := list(2); len(values) > 0 {
				if all == nil {
					all = make(url.Values)
				}
				all[text()] = values
			}
		}
		return all
	}
	scopes := func() (all []string) {
		for _, s := range list(3) {
			if !strings.Contains(s, " ") && !slices.Contains(all, s) { // as canonical leaves them
				all = append(all, s)
			}
		}
		return all
	}
	key, err := seal.NewKey(bytes.Repeat([]byte{1}, seal.MinSecret))
	require.NoError(t, err)
	bindings := bindingsOf(t)
	named := make(map[string]string)
	different := make(map[string]bool)
	var k cache.Key
	var store sharedStore
	var params url.Values
	b := 0
	changes := []func(){
		func() { k.Tenant = []string{"one", "other"}[random.IntN(2)] },
		func() { k.User = maybe() },
		func() { k.Agent = maybe() },
		func() { k.Scopes = scopes() },
		func() { k.Parameters = values() },
		func() { store.clientID = text() },
		func() { store.capabilities = list(2) },
		func() { params = values() },
		func() { b = random.IntN(len(bindings)) },
		func() { store.clientID, params = text(), values() }, // neighbours
		func() { k.User, k.Agent, k.Parameters = maybe(), maybe(), values() },
	}
	for i := range 500 {
		texts = pools[i%len(pools)]
		for _, change := range changes {
			change()
		}
		change := changes[random.IntN(len(changes))]
		for range 100 { // requests that differ in one place or a few
			change()
			authority, err := Entra("own.example").forTenant(k.Tenant + ".example")
			require.NoError(t, err)
			authority.params = params
			is := fmt.Sprintf("%q %q %s %q %d %q %q %q %s",
				k.Tenant, store.clientID, exactly(params), sorted(store.capabilities), b,
				k.User, k.Agent, sorted(k.Scopes), exactly(k.Parameters))
			different[is] = true
			name := key.Name(store.entryParts(authority, k, bindings[b])...)
			if other, taken := named[name]; taken && other != is {
				t.Fatalf("%s has the entry of %s", is, other)
			}
			named[name] = is
		}
	}
	require.Len(t, named, len(different), "one request has two names")
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// exactly writes parameters so that each reads differently.
func exactly(values url.Values) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%q:%q;", name, values[name])
	}
	return b.String()
}

// bindingsOf are no binding and those of two certificates.
func bindingsOf(t *testing.T) []*mtls.Binding {
	t.Helper()
	made := mtls.New(&http.Client{Transport: new(http.Transport)}, false)
	all := []*mtls.Binding{nil}
	for _, der := range []string{"one certificate", "another"} {
		b, err := made.Bind(&mtls.Pair{Leaf: &x509.Certificate{Raw: []byte(der)}})
		require.NoError(t, err)
		all = append(all, b)
	}
	return all
}
