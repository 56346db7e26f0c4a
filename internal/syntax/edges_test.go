package syntax

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nameOf is a host name of so many characters.
func nameOf(n int) string {
	label := strings.Repeat("a", 49) + "."
	return strings.Repeat(label, (n-1)/50) + strings.Repeat("b", (n-1)%50+1)
}

func TestLongestNames(t *testing.T) {
	require.Len(t, nameOf(253), 253)
	_, err := Host(nameOf(253))
	assert.NoError(t, err)
	_, err = Host(nameOf(254))
	assert.Error(t, err)
	assert.NoError(t, CheckTenant(nameOf(253)))
	assert.Error(t, CheckTenant(nameOf(254)))
}

// What stands behind an address in brackets is a port with its colon, or nothing.
func TestAddressesInBrackets(t *testing.T) {
	for _, bad := range []string{"[::1]443", "[::1]8443", "[::1", "[::1]x", "[::1]]", "[]", "[a.example]",
		"[127.0.0.1]"} {
		_, err := Host(bad)
		assert.Error(t, err, bad)
	}
	host, err := Host("[::1]:8443")
	require.NoError(t, err)
	assert.Equal(t, "[::1]:8443", host)
}

// A set is empty only if no name of either kind was given: an empty one allows every host.
func TestEmptyHosts(t *testing.T) {
	for names, want := range map[string]bool{"": true, "a.example": false, "*.a.example": false} {
		set, err := ParseHosts(strings.Fields(names))
		require.NoError(t, err)
		assert.Equal(t, want, set.Empty(), names)
	}
	assert.True(t, Hosts{}.Empty())
}

func TestFirstAndLastVisible(t *testing.T) {
	assert.True(t, IsVisible("!~"))
	for _, s := range []string{" ", "\x7f", "\x80", "\x1f"} {
		assert.False(t, IsVisible(s), "%q", s)
	}
}
