package certtoken

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/seal"
)

// An entry of over 2 MiB isn't opened, even if it was sealed with the right key.
func TestStoreEntriesThatAreTooLarge(t *testing.T) {
	const name = "certtoken-name"
	key, err := seal.NewKey(bytes.Repeat([]byte{7}, seal.MinSecret))
	require.NoError(t, err)
	st := storedToken{Type: "Bearer"}
	empty, err := sealEntry(key, name, st)
	require.NoError(t, err)

	st.Access = strings.Repeat("a", 2<<20-len(empty))
	sealed, err := sealEntry(key, name, st)
	require.NoError(t, err)
	require.Len(t, sealed, 2<<20)
	opened, err := openEntry(key, name, sealed)
	require.NoError(t, err)
	assert.Equal(t, st, opened)

	st.Access += "a"
	sealed, err = sealEntry(key, name, st)
	require.NoError(t, err)
	_, err = openEntry(key, name, sealed)
	assert.ErrorContains(t, err, "too large")
}
