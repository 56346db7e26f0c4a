package certsource_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// What can't be read as a signature isn't blamed on the key: the error says what came.
func TestAnAnswerThatIsNoSignature(t *testing.T) {
	all := keys(t)
	der, err := all["P-256"].Sign(rand.Reader, digestOf(crypto.SHA256), crypto.SHA256)
	require.NoError(t, err)
	const nothing = "neither a signature nor an error"
	for _, test := range []struct {
		name, key string
		opts      crypto.SignerOpts
		answer    []byte
		says      string
	}{
		{"nothing, RSA", "RSA", crypto.SHA256, nil, nothing},
		{"nothing, EC", "P-521", crypto.SHA512, []byte{}, nothing},
		{"nothing, Ed25519", "Ed25519", crypto.Hash(0), nil, nothing},
		{"zeros", "P-256", crypto.SHA256, make([]byte, 64), "64 bytes that are no ECDSA signature on P-256"},
		{"a few zeros", "P-384", crypto.SHA384, make([]byte, 8), "8 bytes that are no ECDSA signature on P-384"},
		{"odd", "P-256", crypto.SHA256, bytes.Repeat([]byte{1}, 63), "63 bytes that are no ECDSA signature"},
		{"too long", "P-256", crypto.SHA256, bytes.Repeat([]byte{1}, 66), "66 bytes that are no ECDSA signature"},
		{"more behind it", "P-256", crypto.SHA256, append(der, 0), "bytes that are no ECDSA signature"},
		{"short Ed25519", "Ed25519", crypto.Hash(0), make([]byte, 63), "63 bytes, an Ed25519 signature has 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sign := func(context.Context, certsource.SignRequest) ([]byte, error) { return test.answer, nil }
			signer := newSigner(t, all[test.key].Public(), sign)
			_, err := signer.Sign(nil, digestOf(test.opts.HashFunc()), test.opts)
			require.ErrorContains(t, err, test.says)
			assert.NotErrorIs(t, err, certtoken.ErrKeyMismatch)
		})
	}
}

// One key's signature of another length may be another key's.
func TestARSASignatureOfAnotherLength(t *testing.T) {
	key := keys(t)["RSA"]
	signer := newSigner(t, key.Public(), func(context.Context, certsource.SignRequest) ([]byte, error) {
		return make([]byte, 512), nil
	})
	_, err := signer.Sign(nil, digestOf(crypto.SHA256), crypto.SHA256)
	require.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	assert.ErrorContains(t, err, "512 bytes, a signature of the public key has 256")
}

// PKCS #11 lets a token return r and s of equal length, and no longer than the curve's order,
// so the zeros that both begin with may be missing (version 3.0, §2.3.1). The keys here are
// made for signatures that begin so.
func TestAShortSignature(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		full := (curve.Params().BitSize + 7) / 8
		for _, r := range []int{full - 1, full - 8} {
			for _, s := range []int{r, r - 1} {
				t.Run(fmt.Sprintf("%s, %d and %d bytes of %d", curve.Params().Name, r, s, full), func(t *testing.T) {
					c := chosenSignature(t, curve, r, s)
					answer := append(c.r.FillBytes(make([]byte, r)), c.s.FillBytes(make([]byte, r))...)
					signer := newSigner(t, c.public, func(context.Context, certsource.SignRequest) ([]byte, error) {
						return answer, nil
					})
					signature, err := signer.Sign(nil, c.digest, c.hash)
					require.NoError(t, err)
					assert.True(t, ecdsa.VerifyASN1(c.public, c.digest, signature))

					answer[len(answer)-1] ^= 1
					_, err = signer.Sign(nil, c.digest, c.hash)
					assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
				})
			}
		}
	}
}

// A function that writes into its request signs something else, and changes neither the
// caller's digest nor what the signature is checked against.
func TestAFunctionThatWritesIntoItsRequest(t *testing.T) {
	for name, key := range keys(t) {
		for _, opts := range map[string][]crypto.SignerOpts{
			"RSA":     {crypto.SHA256, pss(crypto.SHA256, 32)},
			"P-256":   {crypto.SHA256, crypto.SHA512},
			"P-384":   {crypto.SHA384},
			"P-521":   {crypto.SHA512},
			"Ed25519": {crypto.Hash(0)},
		}[name] {
			t.Run(fmt.Sprintf("%s %T %v", name, opts, opts.HashFunc()), func(t *testing.T) {
				digest := digestOf(opts.HashFunc())
				signer := newSigner(t, key.Public(), func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
					for i := range r.Digest {
						r.Digest[i] ^= 1
					}
					_ = append(r.Digest, 1, 2, 3)
					return key.Sign(rand.Reader, r.Digest, r.Opts)
				})
				_, err := signer.Sign(nil, digest, opts)
				require.ErrorIs(t, err, certtoken.ErrKeyMismatch)
				assert.Equal(t, digestOf(opts.HashFunc()), digest)
			})
		}
	}
	key := keys(t)["RSA"]
	signer := newSigner(t, key.Public(), func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
		r.Opts.(*rsa.PSSOptions).Hash = crypto.SHA512_256 // as long as SHA-256
		return key.Sign(rand.Reader, r.Digest, r.Opts)
	})
	_, err := signer.Sign(nil, digestOf(crypto.SHA256), pss(crypto.SHA256, 32))
	require.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	assert.ErrorContains(t, err, "doesn't verify with the public key")
}

// A caller that has left may use its digest for something else.
func TestADigestThatIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn, seen := make(chan struct{}), make(chan []byte, 1)
		public := keys(t)["P-256"].Public()
		signer := newSigner(t, public, func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
			<-goOn
			seen <- r.Digest
			return nil, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		digest := digestOf(crypto.SHA256)
		_, err := signer.SignContext(ctx, digest, crypto.SHA256)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		clear(digest)
		close(goOn)
		assert.Equal(t, digestOf(crypto.SHA256), <-seen)
	})
}

// chosen is a signature whose numbers a test has chosen, and the key that it is one of.
type chosen struct {
	public *ecdsa.PublicKey
	r, s   *big.Int
	digest []byte
	hash   crypto.Hash
}

// chosenSignature makes a signature of numbers of so many bytes. The public key is computed
// from them, so that it takes no luck.
func chosenSignature(t *testing.T, curve elliptic.Curve, rBytes, sBytes int) chosen {
	t.Helper()
	p := curve.Params()
	hash := map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 521: crypto.SHA512}[p.BitSize]
	c := chosen{s: numberOf(t, sBytes, p.N), digest: digestOf(hash), hash: hash}
	var y *big.Int
	for y == nil { // about every second number is the x of a point
		c.r = numberOf(t, rBytes, p.N)
		y = new(big.Int).Exp(c.r, big.NewInt(3), nil) // y² = x³ - 3x + b
		y.Sub(y, new(big.Int).Mul(c.r, big.NewInt(3)))
		y.Add(y, p.B)
		y = y.ModSqrt(y.Mod(y, p.P), p.P)
	}
	// The key is r⁻¹(sR - eG).
	inverse := new(big.Int).ModInverse(c.r, p.N)
	u := new(big.Int).Mul(c.s, inverse)
	v := new(big.Int).Mul(new(big.Int).Neg(new(big.Int).SetBytes(c.digest)), inverse)
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x1, y1 := curve.ScalarMult(c.r, y, u.Mod(u, p.N).Bytes())
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x2, y2 := curve.ScalarBaseMult(v.Mod(v, p.N).Bytes())
	//lint:ignore SA1019 crypto/ecdsa has no arithmetic
	x, y := curve.Add(x1, y1, x2, y2)
	//lint:ignore SA1019 the point was computed as two numbers
	c.public = &ecdsa.PublicKey{Curve: curve, X: x, Y: y}
	return c
}

// numberOf is a number of at most so many bytes, and below the limit.
func numberOf(t *testing.T, size int, limit *big.Int) *big.Int {
	t.Helper()
	largest := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	if largest.Cmp(limit) > 0 {
		largest = limit
	}
	n, err := rand.Int(rand.Reader, largest)
	require.NoError(t, err)
	return n
}
