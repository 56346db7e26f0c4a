package certstore

import (
	"crypto"
	"crypto/rsa"
	"testing"
	"unicode/utf16"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

func TestPadding(t *testing.T) {
	algorithms := map[crypto.Hash][2]certtoken.Algorithm{
		crypto.SHA256: {certtoken.RS256, certtoken.PS256},
		crypto.SHA384: {certtoken.RS384, certtoken.PS384},
		crypto.SHA512: {certtoken.RS512, certtoken.PS512},
	}
	for hash, name := range map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384",
		crypto.SHA512: "SHA512"} {
		p := paddingFor(certsource.SignRequest{Algorithm: algorithms[hash][0], Opts: hash})
		assert.Equal(t, name+"\x00", string(utf16.Decode(p.algorithm)))
		assert.EqualValues(t, 2, p.flag)
		assert.Same(t, &p.algorithm[0], p.pkcs1().algorithm)

		p = paddingFor(certsource.SignRequest{Algorithm: algorithms[hash][1], Opts: &rsa.PSSOptions{Hash: hash}})
		assert.Equal(t, name+"\x00", string(utf16.Decode(p.algorithm)))
		assert.EqualValues(t, 8, p.flag)
		assert.Same(t, &p.algorithm[0], p.pss().algorithm)
		assert.EqualValues(t, hash.Size(), p.pss().salt)
	}
}

// An EC key has no padding, and no structure that would say so.
func TestNoPadding(t *testing.T) {
	for hash, alg := range map[crypto.Hash]certtoken.Algorithm{
		crypto.SHA256: certtoken.ES256, crypto.SHA384: certtoken.ES384, crypto.SHA512: certtoken.ES512,
	} {
		assert.Equal(t, padding{}, paddingFor(certsource.SignRequest{Algorithm: alg, Opts: hash}))
	}
}

// The structures are as C lays them out: a pointer, and a ULONG behind it.
func TestPaddingLayout(t *testing.T) {
	const pointer = unsafe.Sizeof(uintptr(0))
	assert.Equal(t, pointer, unsafe.Sizeof(pkcs1Info{}))
	assert.Equal(t, pointer, unsafe.Offsetof(pssInfo{}.salt))
	assert.Equal(t, 2*pointer, unsafe.Sizeof(pssInfo{}))
}
