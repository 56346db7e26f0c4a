package certtoken

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A renewal is due while there is time for it, and never at once.
func TestRenewAfter(t *testing.T) {
	for _, c := range []struct{ life, refreshIn, least, most time.Duration }{
		{life: time.Hour, least: 40 * time.Minute, most: 50 * time.Minute},
		{life: time.Hour, refreshIn: 30 * time.Minute, least: 27 * time.Minute, most: 33 * time.Minute},
		{life: time.Hour, refreshIn: 3590 * time.Second, least: 53 * time.Minute, most: 54 * time.Minute},
		{life: time.Hour, refreshIn: 2 * time.Hour, least: 40 * time.Minute, most: 50 * time.Minute}, // nonsense
		{life: time.Hour, refreshIn: time.Millisecond, least: time.Second, most: time.Second},
		{life: time.Second, least: 675 * time.Millisecond, most: 825 * time.Millisecond},
		{life: time.Second, refreshIn: 1, least: 500 * time.Millisecond, most: 500 * time.Millisecond},
	} {
		for range 100 {
			after := renewAfter(c.life, c.refreshIn)
			assert.GreaterOrEqual(t, after, c.least, c)
			assert.LessOrEqual(t, after, c.most, c)
			assert.Less(t, after, handOutTime(c.life), c)
		}
	}
}

// The scheme and the type decide, and a request that is refused stays as it was.
func TestSetAuthHeaderChecks(t *testing.T) {
	of := func(typ string) *Token {
		return &Token{typ: typ, secret: hidden(secrets{access: "s3cret"})}
	}
	for name, c := range map[string]struct {
		token *Token
		url   string
		want  string // "": it is set
	}{
		"bearer":          {of("Bearer"), "https://api.example/x", ""},
		"another case":    {of("bearer"), "https://api.example/x", ""},
		"bound":           {of("mtls_pop"), "https://api.example/x", "mtls_pop"},
		"DPoP":            {of("DPoP"), "https://api.example/x", "DPoP"},
		"http":            {of("Bearer"), "http://api.example/x", "https only"},
		"this machine":    {of("Bearer"), "http://127.0.0.1/x", "https only"},
		"no scheme":       {of("Bearer"), "//api.example/x", "https only"},
		"no token":        {nil, "https://api.example/x", "no token"},
		"the zero Token":  {new(Token), "https://api.example/x", "no token"},
		"a secret in URL": {of("Bearer"), "http://user:s3cret@api.example/s3cret?s3cret", "http://api.example"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "before")
			err = c.token.SetAuthHeader(req)
			if c.want == "" {
				require.NoError(t, err)
				assert.Equal(t, "Bearer s3cret", req.Header.Get("Authorization"))
				return
			}
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "s3cret")
			assert.Equal(t, "before", req.Header.Get("Authorization"))
		})
	}
	for name, req := range map[string]*http.Request{"no request": nil, "no URL": {}} {
		assert.ErrorContains(t, of("Bearer").SetAuthHeader(req), "no URL", name)
	}
	bare := &http.Request{URL: &url.URL{Scheme: "https", Host: "api.example"}}
	require.NoError(t, of("Bearer").SetAuthHeader(bare))
	assert.Equal(t, "Bearer s3cret", bare.Header.Get("Authorization"), "a request without headers")
}

// Every error that says that something isn't supported is errors.ErrUnsupported, and no other is.
func TestUnsupportedIsTheStandardLibrarys(t *testing.T) {
	wrapped := public(fmt.Errorf("file.pfx: %w: encryption with 1.2.3", ErrUnsupported))
	assert.ErrorIs(t, wrapped, errors.ErrUnsupported)
	assert.ErrorIs(t, wrapped, ErrUnsupported)
	assert.NotErrorIs(t, errors.ErrUnsupported, ErrUnsupported)
	for _, other := range []error{ErrFormat, ErrNotRSA, ErrWrongPassword, ErrTooLarge} {
		assert.NotErrorIs(t, other, errors.ErrUnsupported)
	}
}
