package certfile

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestToDER(t *testing.T) {
	for _, tt := range []struct{ name, ber, der, rest string }{
		{"DER", "3003020105", "3003020105", ""},
		{"what follows", "30030201050000", "3003020105", "0000"},
		{"indefinite", "30800201050000", "3003020105", ""},
		{"indefinite, and more", "308002010500000a", "3003020105", "0a"},
		{"nested indefinite", "3080308002010500000000", "30053003020105", ""},
		{"indefinite in definite", "300730800201050000", "30053003020105", ""},
		{"long length", "30830000030201" + "05", "3003020105", ""},
		{"length with zeros", "3088000000000000000302010" + "5", "3003020105", ""},
		{"octets in pieces", "2480040101040202030000", "0403010203", ""},
		{"octets in pieces, definite", "240704010104020203", "0403010203", ""},
		{"octets in pieces of pieces", "24802480040101000004010200" + "00", "04020102", ""},
		{"no pieces", "24800000", "0400", ""},
		{"high tag", "bf8a018002010500" + "00", "bf8a0103020105", ""},
		{"empty", "3000", "3000", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ber, err := hex.DecodeString(tt.ber)
			require.NoError(t, err)
			der, rest, err := toDER(ber)
			require.NoError(t, err)
			assert.Equal(t, tt.der, hex.EncodeToString(der))
			assert.Equal(t, tt.rest, hex.EncodeToString(rest))
		})
	}
}

func TestToDERRefuses(t *testing.T) {
	for name, ber := range map[string]string{
		"nothing":                     "",
		"only a tag":                  "30",
		"length cut":                  "3082",
		"content cut":                 "30030201",
		"no end marker":               "3080020105",
		"half an end marker":          "308002010500",
		"primitive without length":    "0480",
		"absurd length":               "3084ffffffff00",
		"longer than an int":          "3089ffffffffffffffffff",
		"a number among the octets":   "2480020101" + "0000",
		"tag that doesn't end":        "3f8080808080808080",
		"child longer than parent":    "30030205010203",
		"indefinite without children": "3080",
	} {
		t.Run(name, func(t *testing.T) {
			in, err := hex.DecodeString(ber)
			require.NoError(t, err)
			_, _, err = toDER(in)
			assert.Error(t, err)
		})
	}
	deep := append(bytes.Repeat([]byte{0x30, 0x80}, maxBERDepth+1), bytes.Repeat([]byte{0, 0}, maxBERDepth+1)...)
	_, _, err := toDER(deep)
	assert.ErrorIs(t, err, errBER)
}

// TestBERRoundTrip turns real structures into BER and back.
func TestBERRoundTrip(t *testing.T) {
	k := testKeys(t)
	for _, der := range [][]byte{
		k.pkcs8, k.leaf.Raw, pfxFile(nil, plainSafe(certBag(k.leaf.Raw), keyBag(k.pkcs8))),
	} {
		got, rest, err := toDER(toBER(der))
		require.NoError(t, err)
		assert.Empty(t, rest)
		assert.Equal(t, der, got)
	}
}

// A value that is broken where nobody looks is still read.
func TestDEROfKeepsWhatItCannotConvert(t *testing.T) {
	broken := seq(number(1), seq([]byte{0x02, 0x7f}))
	_, _, err := toDER(broken)
	require.Error(t, err)
	der, rest, err := derOf(append(bytes.Clone(broken), 0))
	require.NoError(t, err)
	assert.Equal(t, broken, der)
	assert.Equal(t, []byte{0}, rest)
}
