package certfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRC2Versions(t *testing.T) {
	skipInFIPSMode(t)
	for version, want := range map[int64]int{
		0: 32, 160: 40, 120: 64, 58: 128, 256: 256, 1024: 1024, 1: 0, 255: 0, 1025: 0,
	} {
		assert.Equal(t, want, rc2EffectiveBits(version), version)
	}
	for name, tt := range map[string]struct {
		params []byte
		keyLen int64
		want   int
	}{
		"version":                    {seq(number(58), octets(make([]byte, 8))), 0, 16},
		"version and length":         {seq(number(58), octets(make([]byte, 8))), 5, 5},
		"no version":                 {seq(octets(make([]byte, 8))), 0, 4},
		"no such version":            {seq(number(59), octets(make([]byte, 8))), 16, 0},
		"key too long":               {seq(number(58), octets(make([]byte, 8))), 129, 0},
		"IV of another length":       {seq(number(58), octets(make([]byte, 16))), 16, 0},
		"IV without sequence":        {octets(make([]byte, 8)), 16, 0},
		"version beyond what exists": {seq(number(1<<40), octets(make([]byte, 8))), 16, 0},
	} {
		c, err := newBlockCipher(algorithm{oidRC2CBC, tt.params}, tt.keyLen)
		if tt.want == 0 {
			assert.ErrorIs(t, err, ErrFormat, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, tt.want, c.keyLen, name)
		_, err = c.newBlock(make([]byte, c.keyLen))
		assert.NoError(t, err, name)
	}
}

func TestPBES2Parameters(t *testing.T) {
	skipInFIPSMode(t)
	cipher := seq(oid(oidAES256CBC), octets(make([]byte, 16)))
	kdf := func(params ...[]byte) []byte { return seq(oid(oidPBKDF2), seq(params...)) }
	salt := octets(testSalt)
	for name, tt := range map[string]struct {
		params []byte
		want   error
	}{
		"right":            {seq(kdf(salt, number(1)), cipher), nil},
		"PRF without NULL": {seq(kdf(salt, number(1), seq(oid(oidHMACSHA256))), cipher), nil},
		"empty salt":       {seq(kdf(octets(nil), number(1)), cipher), nil},
		"salt from a name": {seq(kdf(seq(oid("1.2.3")), number(1)), cipher), ErrUnsupported},
		"unknown PRF":      {seq(kdf(salt, number(1), seq(oid("2.16.840.1.101.3.4.2.14"))), cipher), ErrUnsupported},
		"unknown KDF":      {seq(seq(oid("1.3.6.1.4.1.11591.4.12"), seq()), cipher), ErrUnsupported},
		"unknown cipher": {seq(kdf(salt, number(1)), seq(oid("1.2.392.200011.61.1.1.1.4"), octets(make([]byte, 16)))),
			ErrUnsupported},
		"wrong key length":  {seq(kdf(salt, number(1), number(15)), cipher), ErrFormat},
		"no parameters":     {nil, ErrFormat},
		"no KDF":            {seq(), ErrFormat},
		"no cipher":         {seq(kdf(salt, number(1))), ErrFormat},
		"no KDF parameters": {seq(seq(oid(oidPBKDF2)), cipher), ErrFormat},
		"no rounds":         {seq(kdf(salt), cipher), ErrFormat},
		"no scrypt numbers": {seq(seq(oid(oidScrypt), seq(salt, number(2))), cipher), ErrFormat},
		"no IV":             {seq(kdf(salt, number(1)), seq(oid(oidAES256CBC))), ErrFormat},
	} {
		_, err := newScheme(algorithm{oidPBES2, tt.params})
		if tt.want == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, tt.want, name)
		}
	}
}

// What isn't supported is named, so that a user can look for it.
func TestUnsupportedAlgorithmsAreNamed(t *testing.T) {
	skipInFIPSMode(t)
	for id, name := range map[string]string{
		oidPBEMD2DES: "pbeWithMD2AndDES-CBC", "1.2.840.113549.1.5.4": "pbeWithMD2AndRC2-CBC", "1.2.3.4.5": "1.2.3.4.5",
	} {
		_, err := newScheme(algorithm{oid: id})
		assert.ErrorIs(t, err, ErrUnsupported)
		assert.ErrorContains(t, err, name)
	}
}
