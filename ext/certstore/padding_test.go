package certstore

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"testing"
	"unicode/utf16"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPadding(t *testing.T) {
	for hash, name := range map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"} {
		digest := make([]byte, hash.Size())
		p, err := paddingFor(digest, hash)
		require.NoError(t, err)
		assert.Equal(t, name+"\x00", string(utf16.Decode(p.algorithm)))
		assert.EqualValues(t, 2, p.flag)
		assert.Same(t, &p.algorithm[0], p.pkcs1().algorithm)

		for _, salt := range []int{rsa.PSSSaltLengthEqualsHash, hash.Size()} {
			p, err = paddingFor(digest, &rsa.PSSOptions{SaltLength: salt, Hash: hash})
			require.NoError(t, err)
			assert.EqualValues(t, 8, p.flag)
			assert.Same(t, &p.algorithm[0], p.pss().algorithm)
			assert.EqualValues(t, hash.Size(), p.pss().salt)
		}
	}
	for name, opts := range map[string]crypto.SignerOpts{
		"SHA-1":     crypto.SHA1,
		"salt":      &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256},
		"auto salt": &rsa.PSSOptions{Hash: crypto.SHA256},
	} {
		_, err := paddingFor(make([]byte, 32), opts)
		assert.ErrorIs(t, err, errors.ErrUnsupported, name)
	}
	_, err := paddingFor(make([]byte, 20), crypto.SHA256)
	assert.ErrorContains(t, err, "20 bytes")
	_, err = paddingFor(make([]byte, 32), nil)
	assert.Error(t, err)
}

// The structures are as C lays them out: a pointer, and a ULONG behind it.
func TestPaddingLayout(t *testing.T) {
	const pointer = unsafe.Sizeof(uintptr(0))
	assert.Equal(t, pointer, unsafe.Sizeof(pkcs1Info{}))
	assert.Equal(t, pointer, unsafe.Offsetof(pssInfo{}.salt))
	assert.Equal(t, 2*pointer, unsafe.Sizeof(pssInfo{}))
}
