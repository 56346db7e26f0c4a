package jwk_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/jwk"
)

func TestForSigningFillsInWhatAServerWants(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		pub           crypto.PublicKey
		kid, alg, got string
	}{
		"EC":            {ec.Public(), "", "", "ES384"},
		"Ed25519":       {public, "", "", "EdDSA"},
		"RSA":           {key.Public(), "", "", "RS256"},
		"RSA PSS":       {key.Public(), "a", "PS512", "PS512"},
		"Ed25519, name": {public, "a", "Ed25519", "Ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := jwk.ForSigning(tt.pub, tt.kid, tt.alg)
			require.NoError(t, err)
			assert.Equal(t, "sig", p.Use)
			assert.Equal(t, tt.got, p.Algorithm)
			if tt.kid == "" {
				tt.kid = p.Thumbprint()
			}
			assert.Equal(t, tt.kid, p.KeyID)
		})
	}
	for _, alg := range []string{"RS256", "ES256", "none", "es384"} {
		_, err := jwk.ForSigning(ec.Public(), "", alg)
		assert.Error(t, err, alg)
	}
	_, err = jwk.ForSigning(nil, "", "")
	assert.Error(t, err)
}

func TestSetKeepsKeyIDsApart(t *testing.T) {
	key := func(kid string) jwk.Public {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		p, err := jwk.ForSigning(public, kid, "")
		require.NoError(t, err)
		return p
	}
	var set jwk.Set
	first := key("a")
	require.NoError(t, set.Add(first))
	require.NoError(t, set.Add(first))
	assert.Len(t, set.Keys, 1)
	assert.ErrorContains(t, set.Add(key("a")), `another key has its kid "a"`)
	require.NoError(t, set.Add(key("b")))
	renewed := first
	renewed.CertSHA256 = "another certificate of the same key"
	require.NoError(t, set.Add(renewed))
	assert.Len(t, set.Keys, 3)
}
