package certtoken

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
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
	_, err = openEntry(key, name, key.Seal(name, []byte(`{"access_token":"abc`)))
	assert.ErrorContains(t, err, "can't be read")
}

// An entry that opens may still make no sense: it was written by another version, or by
// someone who has the secret.
func TestStoreEntriesThatMakeNoSense(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := clock.Reading{Mono: 1000 * time.Hour, Time: now}
	good := func() storedToken {
		return storedToken{
			Access: "abc", Type: "Bearer", Granted: now.Add(-time.Minute).UnixNano(),
			Renew: now.Add(30 * time.Minute).UnixNano(), Expires: now.Add(time.Hour).UnixNano(),
		}
	}
	for name, c := range map[string]struct {
		change func(*storedToken)
		taken  bool
	}{
		"a good one":      {func(*storedToken) {}, true},
		"no token":        {func(s *storedToken) { s.Access = "" }, false},
		"no type":         {func(s *storedToken) { s.Type = "" }, false},
		"a forged header": {func(s *storedToken) { s.Access = "abc\r\nX: y" }, false},
		"a forged type":   {func(s *storedToken) { s.Type = "Bearer x\n" }, false},
		"no lifetime":     {func(s *storedToken) { s.Expires = s.Granted }, false},
		"a negative one":  {func(s *storedToken) { s.Expires = s.Granted - 1 }, false},
		"as long as can be": {func(s *storedToken) {
			s.Expires = time.Unix(0, s.Granted).Add(exchange.MaxLife).UnixNano()
		}, true},
		"longer than that": {func(s *storedToken) {
			s.Expires = time.Unix(0, s.Granted).Add(exchange.MaxLife + 1).UnixNano()
		}, false},
		"over":        {func(s *storedToken) { s.Expires = now.UnixNano() }, false},
		"nearly over": {func(s *storedToken) { s.Expires = now.Add(time.Second).UnixNano() }, false},
		"of the near future": {func(s *storedToken) {
			s.Granted = now.Add(time.Minute).UnixNano()
		}, true},
		"of the future": {func(s *storedToken) { s.Granted = now.Add(time.Minute + 1).UnixNano() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			st := good()
			c.change(&st)
			token := st.token([]string{"scope"}, at, 0, nil)
			require.Equal(t, c.taken, token != nil)
			if c.taken {
				assert.Equal(t, "abc", token.AccessToken())
			}
		})
	}
}
