package certtoken

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
)

// FuzzStoreEntry gives foreign bytes to who opens an entry, and then, sealed by
// the right key, to who makes a token of it.
func FuzzStoreEntry(f *testing.F) {
	seeds(f, "testdata/entry/*")
	const name = "certtoken-name"
	secret := make([]byte, seal.MinSecret)
	rand.Read(secret) // entries of other runs don't open
	key, err := seal.NewKey(secret)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := openEntry(key, name, data)
		require.Error(t, err, "an entry that wasn't sealed")
		oneLine(t, err.Error())

		st, err := openEntry(key, name, key.Seal(name, data))
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		at := clock.Reading{Mono: time.Hour, Time: time.Unix(1_800_000_000, 0)}
		token := st.token([]string{"scope"}, at, 0, nil)
		if token == nil {
			return
		}
		assert.True(t, syntax.IsVisible(token.AccessToken()) && token.AccessToken() != "")
		assert.True(t, syntax.IsVisible(token.Type()) && token.Type() != "")
		assert.Greater(t, token.life.End, at.Mono)
		assert.LessOrEqual(t, token.life.Renew, token.life.End)
		assert.LessOrEqual(t, token.life.End-at.Mono, exchange.MaxLife+maxFuture)
	})
}

// FuzzMetadata: whatever a document says, an authority is the issuer's that was
// asked for and has endpoints over https.
func FuzzMetadata(f *testing.F) {
	seeds(f, "testdata/metadata/*")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(f, err)
	keys := []crypto.Signer{rsaKey, ec, ed}
	const issuer = "https://as.example.com"
	f.Fuzz(func(t *testing.T, data []byte) {
		meta, err := decodeMetadata(data)
		if err != nil {
			return
		}
		if err := meta.check(issuer, Authority{}); err != nil {
			oneLine(t, err.Error())
			return
		}
		assert.Equal(t, issuer, meta.Issuer)
		a := Issuer(issuer, meta.TokenEndpoint, append(meta.dialect(), WithCertificateBoundTokens())...)
		for _, key := range keys {
			if alg, err := a.algorithms.of(key.Public()); err == nil {
				assert.NoError(t, jws.Fits(string(alg), key.Public()))
			} else {
				oneLine(t, err.Error())
			}
		}
		a.mtlsURL = meta.Aliases.TokenEndpoint
		require.NoError(t, a.validate())
		req, err := http.NewRequest(http.MethodPost, a.endpoint(), nil)
		require.NoError(t, err)
		assert.Equal(t, "https", req.URL.Scheme)
		assert.NotEmpty(t, req.URL.Hostname())
		assert.Nil(t, req.URL.User)
	})
}

// FuzzAssertionFile: what is read is shaped like a JWT and fits into a form; an
// error repeats nothing of the file.
func FuzzAssertionFile(f *testing.F) {
	seeds(f, "testdata/assertionfile/*")
	path := filepath.Join(f.TempDir(), "token")
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.WriteFile(path, data, 0o600))
		assertion, err := AssertionFile(path).Assertion(t.Context(), "")
		if err != nil {
			assert.Empty(t, assertion)
			assert.NotErrorIs(t, err, os.ErrNotExist)
			assert.Equal(t, strings.Count(err.Error(), "certtoken: "), 1)
			why := errors.Unwrap(errors.Unwrap(err)).Error()
			assert.Contains(t, []string{
				"the assertion is empty", "the assertion has more than 65536 bytes",
				"the assertion is not a JWT: three parts in base64url, with dots between them",
			}, why, "an error that says something of the content")
			return
		}
		assert.True(t, syntax.IsVisible(assertion))
		assert.LessOrEqual(t, len(assertion), maxAssertion)
		assert.True(t, redact.HoldsJWT(assertion), "what redact doesn't know")
	})
}

// FuzzTenant: a tenant that is accepted is all that stands between host and path.
func FuzzTenant(f *testing.F) {
	for _, seed := range []string{"contoso.com", "7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", "a@b", "../x", "a.com\n",
		"ＡＢＣ.com", "a.com.", "a..b", "%2e.com", "xn--a.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tenant string) {
		if err := syntax.CheckTenant(tenant); err != nil {
			oneLine(t, err.Error())
			return
		}
		req, err := http.NewRequest(http.MethodPost, Entra(tenant).endpoint(), nil)
		require.NoError(t, err)
		assert.Equal(t, hostEntra, req.URL.Host)
		assert.Equal(t, "/"+tenant+"/oauth2/v2.0/token", req.URL.EscapedPath())
		assert.Empty(t, req.URL.RawQuery+req.URL.Fragment)
	})
}

// FuzzRedact: no control character, no JWT, no more than was asked for.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{"", "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", "a\nb\x00\u202e", "\xff\xfe",
		strings.Repeat("é", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := redact.Text(text, redact.MaxShort)
		oneLine(t, got)
		assert.LessOrEqual(t, len(got), redact.MaxShort+len("…"))
		assert.False(t, redact.HoldsJWT(got), "%q", got)
	})
}

func oneLine(t *testing.T, text string) {
	t.Helper()
	assert.False(t, strings.ContainsAny(text, "\n\r\x00\x1b\u2028\u2029\u202e"), "%q", text)
	assert.Less(t, len(text), 4*redact.MaxText)
}
