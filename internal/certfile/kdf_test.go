package certfile

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The vectors that were published with PKCS #12 v1.0. Derivations with SHA-2
// are checked by opening what openssl and keytool wrote.
func TestPKCS12KDF(t *testing.T) {
	skipInFIPSMode(t)
	for _, tt := range []struct {
		password, salt string
		rounds         int64
		purpose        byte
		want           string
	}{
		{"smeg", "0a58cf64530d823f", 1, kdfKey, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"},
		{"smeg", "0a58cf64530d823f", 1, kdfIV, "79993dfe048d3b76"},
		{"smeg", "642b99ab44fb4b1f", 1, kdfKey, "f3a95fec48d7711e985cfe67908c5ab79fa3d7c5caa5d966"},
		{"smeg", "642b99ab44fb4b1f", 1, kdfIV, "c0a38d64a79bea1d"},
		{"smeg", "3d83c0e4546ac140", 1, kdfMAC, "8d967d88f6caa9d714800ab3d48051d63f73a312"},
		{"queeg", "05dec959acff72f7", 1000, kdfKey, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"},
		{"queeg", "05dec959acff72f7", 1000, kdfIV, "11dedad7758d4860"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, kdfKey, "483dd6e919d7de2e8e648ba8f862f3fbfbdc2bcb2c02957f"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, kdfIV, "9d461d1b00355c50"},
		{"queeg", "263216fcc2fab31c", 1000, kdfMAC, "5ec4c7a80df652294c3925b6489a7ab857c83476"},
	} {
		salt, err := hex.DecodeString(tt.salt)
		require.NoError(t, err)
		got := pkcs12KDF(sha1.New, bmpString(tt.password), salt, tt.rounds, tt.purpose, len(tt.want)/2)
		assert.Equal(t, tt.want, hex.EncodeToString(got))
	}
}

func TestAddToBlocksWrapsAround(t *testing.T) {
	input := []byte{0xff, 0xff, 0x00, 0x01}
	addToBlocks(input, []byte{0x00}, 2)
	assert.Equal(t, []byte{0, 0, 0, 2}, input)
	addToBlocks(input, []byte{0xff, 0xff}, 2)
	assert.Equal(t, []byte{0, 0, 0, 2}, input)
}

func TestRepeatTo(t *testing.T) {
	assert.Empty(t, repeatTo(nil, 4))
	assert.Equal(t, []byte("abca"), repeatTo([]byte("abc"), 4))
	assert.Equal(t, []byte("abcd"), repeatTo([]byte("abcd"), 4))
	assert.Equal(t, []byte("abcdeabc"), repeatTo([]byte("abcde"), 4))
}
