package certfile

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test vectors of RFC 2268 §5.
func TestRC2(t *testing.T) {
	for _, tt := range []struct {
		bits               int
		key, plain, cipher string
	}{
		{63, "0000000000000000", "0000000000000000", "ebb773f993278eff"},
		{64, "ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{64, "3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{64, "88", "0000000000000000", "61a8a244adacccf0"},
		{64, "88bca90e90875a", "0000000000000000", "6ccf4308974c267f"},
		{64, "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "1a807d272bbe5db1"},
		{128, "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
		{
			129, "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", "0000000000000000",
			"5b78d3a43dfff1f1",
		},
	} {
		key, err := hex.DecodeString(tt.key)
		require.NoError(t, err)
		block := newRC2(key, tt.bits).(*rc2Cipher)
		text, err := hex.DecodeString(tt.cipher)
		require.NoError(t, err)
		block.Decrypt(text, text)
		assert.Equal(t, tt.plain, hex.EncodeToString(text))
		rc2Writer{block}.Encrypt(text, text)
		assert.Equal(t, tt.cipher, hex.EncodeToString(text))
	}
	seen := map[byte]bool{}
	for _, b := range rc2Pi {
		seen[b] = true
	}
	assert.Len(t, seen, 256, "PITABLE is a permutation")
}

// rc2Writer encrypts, which only tests do.
type rc2Writer struct{ *rc2Cipher }

func (c rc2Writer) Encrypt(dst, src []byte) {
	var r [4]uint16
	for i := range r {
		r[i] = binary.LittleEndian.Uint16(src[2*i:])
	}
	j := 0
	for round := range 16 {
		for i := range r {
			r[i] += c.k[j] + r[(i+3)&3]&r[(i+2)&3] + ^r[(i+3)&3]&r[(i+1)&3]
			r[i] = bits.RotateLeft16(r[i], rc2Shifts[i])
			j++
		}
		if round == 4 || round == 10 {
			for i := range r {
				r[i] += c.k[r[(i+3)&3]&63]
			}
		}
	}
	for i, w := range r {
		binary.LittleEndian.PutUint16(dst[2*i:], w)
	}
}
