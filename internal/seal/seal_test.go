package seal

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func key(t *testing.T, secret byte) Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{secret}, MinSecret))
	require.NoError(t, err)
	return k
}

func TestOpen(t *testing.T) {
	k := key(t, 1)
	sealed := k.Seal("a", []byte("plain"))
	plain, err := k.Open("a", sealed)
	require.NoError(t, err)
	assert.Equal(t, "plain", string(plain))
	assert.NotContains(t, string(sealed), "plain")
	assert.NotEqual(t, sealed, k.Seal("a", []byte("plain")), "a nonce is used once")

	other := bytes.Clone(sealed)
	other[0]++
	for name, c := range map[string]struct {
		key    Key
		name   string
		sealed []byte
		want   string
	}{
		"another name":       {k, "b", sealed, "doesn't open"},
		"another key":        {key(t, 2), "a", sealed, "doesn't open"},
		"cut":                {k, "a", sealed[:len(sealed)-1], "doesn't open"},
		"a version alone":    {k, "a", sealed[:1], "doesn't open"},
		"nothing":            {k, "a", nil, "unknown version"},
		"an unknown version": {k, "a", other, "unknown version"},
	} {
		t.Run(name, func(t *testing.T) {
			plain, err := c.key.Open(c.name, c.sealed)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, plain)
		})
	}
	for i := 1; i < len(sealed); i++ {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := k.Open("a", changed)
		assert.Error(t, err, "byte %d", i)
	}
}

// Names depend on each part, on their order and on where one ends, and on the secret.
func TestName(t *testing.T) {
	k := key(t, 1)
	names := map[string]bool{}
	for _, parts := range [][]string{{}, {""}, {"a", "b"}, {"b", "a"}, {"ab"}, {"ab", ""}, {"", "ab"}, {"a", "", "b"}} {
		names[k.Name(parts...)] = true
	}
	assert.Len(t, names, 8)
	assert.Equal(t, k.Name("a", "b"), key(t, 1).Name("a", "b"))
	assert.NotEqual(t, k.Name("a", "b"), key(t, 2).Name("a", "b"))
}
