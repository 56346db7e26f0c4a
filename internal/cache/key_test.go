package cache

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func textOf(k Key) string { return string(k.appendText(nil)) }

func TestHash(t *testing.T) {
	seed := maphash.MakeSeed()
	of := func(k Key) uint32 { return k.hash(seed) }
	same := of(Key{Tenant: "t", Scopes: []string{"a", "b", "c"}})
	for _, scopes := range [][]string{{"c", "b", "a"}, {"b", "a", "c"}} {
		assert.Equal(t, same, of(Key{Tenant: "t", Scopes: scopes}))
	}
	others := []Key{
		{Tenant: "t", Scopes: []string{"a", "b", "c"}},
		{Scopes: []string{"a", "b", "c"}},
		{Tenant: "u", Scopes: []string{"a", "b", "c"}},
		{Tenant: "t", Scopes: []string{"a", "b"}},
		{Tenant: "t", Scopes: []string{"ab", "c"}},
		{Tenant: "t", User: "u", Scopes: []string{"a", "b", "c"}},
		{Tenant: "t", Agent: "u", Scopes: []string{"a", "b", "c"}},
		{Tenant: "a", Scopes: []string{"b"}},
		{Tenant: "b", Scopes: []string{"a"}},
		{Tenant: "a", User: "b"},
		{Tenant: "b", User: "a"},
		{User: "a", Agent: "b"},
		{User: "b", Agent: "a"},
		{Parameters: url.Values{"a": {"b"}}},
		{Parameters: url.Values{"b": {"a"}}},
		{Parameters: url.Values{"a": {"b", "c"}}},
		{Parameters: url.Values{"a": {"c", "b"}}},
		{Parameters: url.Values{"a": {"b"}, "c": {"d"}}},
		{Parameters: url.Values{"a": {"d"}, "c": {"b"}}},
	}
	for i := range others {
		for j := range i {
			assert.NotEqual(t, of(others[i]), of(others[j]), "%v, %v", others[i], others[j])
		}
	}
}

func TestTextOfAKey(t *testing.T) {
	long := strings.Repeat("l", 300)
	for _, k := range []Key{
		{},
		{Scopes: []string{"a"}},
		{Tenant: "t", User: "u", Agent: "g", Scopes: []string{"b", "a", long}},
		{Tenant: long, User: long + "u", Agent: long + "g"},
		{Scopes: []string{"a"}, Parameters: url.Values{"resource": {"x", "y", long}, "audience": {""}, "": {"z"}}},
	} {
		text := textOf(k)
		assert.Equal(t, k, keyOfText(text))
		assert.True(t, k.hasText(text))
	}
}

func TestKeyMatches(t *testing.T) {
	text := textOf(Key{Tenant: "t", Scopes: []string{"a", "b", "c"}})
	for _, c := range []struct {
		tenant string
		scopes []string
		want   bool
	}{
		{"t", []string{"a", "b", "c"}, true},
		{"t", []string{"c", "a", "b"}, true},
		{"t", []string{"a", "b"}, false},
		{"t", []string{"a", "b", "b"}, false},
		{"t", []string{"a", "a", "a"}, false},
		{"t", []string{"a", "b", "d"}, false},
		{"t", []string{"a", "b", "c", "c"}, false},
		{"u", []string{"a", "b", "c"}, false},
		{"", []string{"a", "b", "c"}, false},
		{"t", nil, false},
	} {
		k := Key{Tenant: c.tenant, Scopes: c.scopes}
		assert.Equal(t, c.want, k.hasText(text), "%q %q", c.tenant, c.scopes)
	}
}

// Keys have one text only if they ask for the same: random keys of few short strings,
// among which texts that are run together would often be equal, also with the parts of
// one of them elsewhere in the other.
func TestNoTwoKeysHaveOneText(t *testing.T) {
	words := []string{"", "a", "b", "aa", "ab", "\x01a", "a\x01", "\x00", "\x01"}
	word := func() string { return words[rand.IntN(len(words))] }
	few := func() (list []string) {
		for range rand.IntN(3) {
			list = append(list, word())
		}
		return list
	}
	random := func() Key {
		k := Key{Tenant: word(), User: word(), Agent: word(), Scopes: few()}
		slices.Sort(k.Scopes)
		k.Scopes = slices.Compact(k.Scopes)
		for range rand.IntN(3) {
			if k.Parameters == nil {
				k.Parameters = url.Values{}
			}
			k.Parameters[word()] = append(few(), word())
		}
		return k
	}
	seed := maphash.MakeSeed()
	for range 5_000 {
		a, b := random(), random()
		switch other := random(); rand.IntN(8) { // most pairs differ in one part at most
		case 0: // in all of them
		case 1:
			b = a
			b.Tenant = other.Tenant
		case 2:
			b = a
			b.User = other.User
		case 3:
			b = a
			b.Agent = other.Agent
		case 4:
			b = a
			b.Scopes = other.Scopes
		case 5:
			b = a
			b.Parameters = other.Parameters
		case 6:
			b = a
			b.User, b.Agent = a.Agent, a.User
		case 7:
			b = a
			b.Parameters = maps.Clone(a.Parameters)
			for name := range b.Parameters {
				b.Parameters[name] = append(few(), word())
			}
		}
		same := fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b) // fmt sorts a map's keys
		require.Equal(t, same, a.hasText(textOf(b)), "%q %q", a, b)
		require.Equal(t, same, textOf(a) == textOf(b), "%q %q", a, b)
		if same {
			require.Equal(t, a.hash(seed), b.hash(seed))
		}
	}
}

// A hit allocates nothing, whatever its key is made of.
func TestFindAllocatesNothing(t *testing.T) {
	c := newTestTable(1000)
	for name, k := range map[string]Key{
		"scope":      keyOf("https://graph.microsoft.com/.default"),
		"scopes":     keyOf("a", "b", "c"),
		"tenant":     {Tenant: "contoso.com", Scopes: []string{"a"}},
		"user":       {User: strings.Repeat("u", 32), Scopes: []string{"a"}},
		"agent":      {Agent: "33333333-3333-4333-8333-333333333333", Scopes: []string{"a"}},
		"parameters": {Scopes: []string{"a"}, Parameters: url.Values{"resource": {"x", "y"}, "audience": {"z"}}},
	} {
		s := c.slot(&k, 0)
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			if c.find(&k) != s {
				t.Fatal(name)
			}
			c.touch(s)
		}), name)
	}
}
