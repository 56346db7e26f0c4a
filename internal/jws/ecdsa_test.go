package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chosenKey makes a key for which r and s are a signature over a digest: the public key is
// recovered from them. In this way a signature can have any bytes, without luck.
func chosenKey(t *testing.T, digest []byte, r, s *big.Int) *ecdsa.PublicKey {
	t.Helper()
	curve := elliptic.P256()
	p := curve.Params()
	// y² = x³ - 3x + b at x = r; p is 3 modulo 4.
	y := new(big.Int).Exp(r, big.NewInt(3), p.P)
	y.Sub(y, new(big.Int).Mul(r, big.NewInt(3)))
	y.Add(y, p.B)
	y.ModSqrt(y.Mod(y, p.P), p.P)
	if y == nil {
		return nil
	}
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	if !curve.IsOnCurve(r, y) {
		return nil
	}
	// Q = r⁻¹(sR - eG)
	inverse := new(big.Int).ModInverse(r, p.N)
	e := new(big.Int).SetBytes(digest)
	u := new(big.Int).Mod(new(big.Int).Mul(s, inverse), p.N)
	v := new(big.Int).Mod(new(big.Int).Mul(e.Neg(e), inverse), p.N)
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x1, y1 := curve.ScalarMult(r, y, u.Bytes())
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x2, y2 := curve.ScalarBaseMult(v.Bytes())
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x, y := curve.Add(x1, y1, x2, y2)
	//lint:ignore SA1019 the point was computed as two numbers
	return &ecdsa.PublicKey{Curve: curve, X: x, Y: y}
}

// ambiguous is a byte string of 64 bytes that is a signature in both forms, for two keys:
// one for which the ASN.1 form is a signature over the digest, and one for the raw form.
func ambiguous(t *testing.T, digest []byte) (sig []byte, ofASN1, ofRaw *ecdsa.PublicKey) {
	t.Helper()
	for {
		var inner ecdsaPair // of 29 bytes each, so that its ASN.1 has 64
		for _, n := range []**big.Int{&inner.r, &inner.s} {
			random := make([]byte, 29)
			_, err := rand.Read(random)
			require.NoError(t, err)
			random[0] = random[0]&0x7f | 1
			*n = new(big.Int).SetBytes(random)
		}
		sig = inner.asn1()
		require.Len(t, sig, 64)
		outer, ok := readRaw(sig, 32, elliptic.P256().Params().N)
		require.True(t, ok)
		ofASN1, ofRaw = chosenKey(t, digest, inner.r, inner.s), chosenKey(t, digest, outer.r, outer.s)
		if ofASN1 != nil && ofRaw != nil {
			return sig, ofASN1, ofRaw
		}
	}
}

// A signature of 64 bytes on P-256 can be both forms. The key decides which it is.
func TestASignatureThatIsBothForms(t *testing.T) {
	digest := sha256.Sum256([]byte("input"))
	sig, ofASN1, ofRaw := ambiguous(t, digest[:])

	pair, err := readECDSA(ofASN1, digest[:], sig)
	require.NoError(t, err)
	assert.Equal(t, sig, pair.asn1())
	assert.NotEqual(t, sig, pair.raw(ofASN1))
	assert.True(t, ecdsa.VerifyASN1(ofASN1, digest[:], pair.asn1()))

	pair, err = readECDSA(ofRaw, digest[:], sig)
	require.NoError(t, err)
	assert.Equal(t, sig, pair.raw(ofRaw))
	assert.True(t, ecdsa.VerifyASN1(ofRaw, digest[:], pair.asn1()))

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, err = readECDSA(&other.PublicKey, digest[:], sig)
	require.EqualError(t, err, "the signer's signature is not one of its key")
}

func TestOnlyDERIsASN1(t *testing.T) {
	order := elliptic.P256().Params().N
	for name, sig := range map[string][]byte{
		"a zero too many":     {0x30, 7, 2, 2, 0, 1, 2, 1, 1},
		"negative":            {0x30, 6, 2, 1, 0x81, 2, 1, 1},
		"zero":                {0x30, 6, 2, 1, 0, 2, 1, 1},
		"a long length":       {0x30, 0x81, 6, 2, 1, 1, 2, 1, 1},
		"one number":          {0x30, 3, 2, 1, 1},
		"three numbers":       {0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1},
		"bytes behind it":     {0x30, 6, 2, 1, 1, 2, 1, 1, 0},
		"an indefinite shape": {0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0},
	} {
		_, ok := readASN1(sig, order)
		assert.False(t, ok, name)
	}
	_, ok := readASN1([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}, order)
	assert.True(t, ok)
}

// Whatever a signer returns, what is made of it is a signature in the standard's form, and
// the same one.
func FuzzReadECDSA(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	digest := sha256.Sum256([]byte("input"))
	good, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(f, err)
	pair, _ := readASN1(good, key.Params().N)
	f.Add(good)
	f.Add(pair.raw(&key.PublicKey))
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, sig []byte) {
		pair, err := readECDSA(&key.PublicKey, digest[:], sig)
		if err != nil {
			return
		}
		raw, der := pair.raw(&key.PublicKey), pair.asn1()
		require.Len(t, raw, 64)
		again, ok := readASN1(der, key.Params().N)
		require.True(t, ok)
		require.Equal(t, raw, again.raw(&key.PublicKey))
		require.True(t, string(sig) == string(der) || string(sig) == string(raw))
	})
}
