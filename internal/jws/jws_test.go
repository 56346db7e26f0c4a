package jws_test

import (
	"context"
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 a key that is refused
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// keys are one key of each kind, made once.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(key crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return key
	}
	ec := func(curve elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		return must(key, err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	made := map[string]crypto.Signer{
		"RSA": must(rsaKey, err), "P-256": ec(elliptic.P256()), "P-384": ec(elliptic.P384()),
		"P-521": ec(elliptic.P521()),
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	made["Ed25519"] = must(edKey, err)
	return made
})

// fitting says which kind of key each algorithm is for.
var fitting = map[string]string{
	jws.RS256: "RSA", jws.RS384: "RSA", jws.RS512: "RSA", jws.PS256: "RSA", jws.PS384: "RSA", jws.PS512: "RSA",
	jws.ES256: "P-256", jws.ES384: "P-384", jws.ES512: "P-521", jws.EdDSA: "Ed25519", jws.Ed25519: "Ed25519",
}

// signatureSize is the length of an algorithm's signature: RFC 7518 §3.4, RFC 8037 §3.1.
var signatureSize = map[string]int{jws.ES256: 64, jws.ES384: 96, jws.ES512: 132, jws.EdDSA: 64, jws.Ed25519: 64}

func TestWhichAlgorithmFitsWhichKey(t *testing.T) {
	assert.Len(t, jws.Names(), len(fitting))
	for _, alg := range jws.Names() {
		for kind, key := range keys() {
			err := jws.Fits(alg, key.Public())
			sig, signErr := jws.Sign(t.Context(), alg, key, []byte("input"))
			if kind == fitting[alg] {
				assert.NoError(t, err, "%s with %s", alg, kind)
				assert.NoError(t, signErr, "%s with %s", alg, kind)
				assert.NoError(t, jws.Verify(alg, key.Public(), []byte("input"), sig))
				assert.Contains(t, jws.Of(key.Public()), alg)
				continue
			}
			require.ErrorContains(t, err, alg)
			require.ErrorContains(t, err, kind)
			require.EqualError(t, signErr, err.Error())
			require.EqualError(t, jws.Verify(alg, key.Public(), []byte("input"), make([]byte, 64)), err.Error())
			assert.NotContains(t, jws.Of(key.Public()), alg)
		}
	}
	for kind, want := range map[string]string{
		"RSA": jws.RS256, "P-256": jws.ES256, "P-384": jws.ES384, "P-521": jws.ES512, "Ed25519": jws.EdDSA,
	} {
		alg, err := jws.Default(keys()[kind].Public())
		require.NoError(t, err)
		assert.Equal(t, want, alg)
	}
	require.ErrorContains(t, jws.Fits("HS256", keys()["RSA"].Public()), `unknown algorithm "HS256": RS256, `)
	require.EqualError(t, jws.Fits(jws.ES256, keys()["P-384"].Public()),
		"ES256 is for EC keys of the curve P-256, and this key is an EC key of the curve P-384: it signs by ES384")
}

func TestParse(t *testing.T) {
	for _, alg := range jws.Names() {
		for _, written := range []string{alg, strings.ToLower(alg), strings.ToUpper(alg)} {
			got, err := jws.Parse(written)
			require.NoError(t, err)
			assert.Equal(t, alg, got)
			assert.Equal(t, written == alg, jws.Known(written), "only the exact name is one in a header")
		}
	}
	for _, none := range []string{"", "none", "HS256", "ES256K", "RS1", "RS256 ", strings.Repeat("x", 9999)} {
		_, err := jws.Parse(none)
		require.ErrorContains(t, err, "unknown algorithm")
		assert.Less(t, len(err.Error()), 256)
	}
}

func TestCheckKey(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	long := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), jws.MaxRSABits), E: 65537}
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		is   error
		text string
	}{
		"nil":                 {nil, jws.ErrNoKey, "no public key"},
		"nil RSA":             {(*rsa.PublicKey)(nil), jws.ErrNoKey, "no public key"},
		"RSA without modulus": {&rsa.PublicKey{}, jws.ErrNoKey, "no public key"},
		"nil EC":              {(*ecdsa.PublicKey)(nil), jws.ErrNoKey, "no public key"},
		"EC without point":    {&ecdsa.PublicKey{Curve: elliptic.P256()}, jws.ErrNoKey, "no public key"},
		"nil Ed25519":         {ed25519.PublicKey(nil), jws.ErrNoKey, "no public key"},
		"short RSA":           {short.Public(), jws.ErrKeySize, "1024 bits, must be 2048 to 16384"},
		"long RSA":            {long, jws.ErrKeySize, "16385 bits"},
		"P-224":               {p224.Public(), jws.ErrKeyType, "an EC key of the curve P-224"},
		"half Ed25519":        {ed25519.PublicKey("16 bytes are few"), jws.ErrKeyType, "ed25519.PublicKey"},
		"X25519":              {x25519.Public(), jws.ErrKeyType, "*ecdh.PublicKey"},
		"DSA":                 {&dsa.PublicKey{}, jws.ErrKeyType, "*dsa.PublicKey"},
		"a private key":       {short, jws.ErrKeyType, "*rsa.PrivateKey"},
	} {
		t.Run(name, func(t *testing.T) {
			err := jws.CheckKey(c.key)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.text)
			assert.NotEmpty(t, jws.Describe(c.key))
			if c.is != jws.ErrKeySize {
				_, err = jws.Default(c.key)
				require.ErrorIs(t, err, c.is)
				require.ErrorIs(t, jws.Fits(jws.RS256, c.key), c.is)
				assert.Empty(t, jws.Of(c.key))
			}
			require.Error(t, jws.Verify(jws.RS256, c.key, nil, nil))
		})
	}
	for kind, key := range keys() {
		require.NoError(t, jws.CheckKey(key.Public()), kind)
	}
}

// vector is a signature that a standard shows.
type vector struct {
	Name, Alg, Input, Signature string
	Key                         json.RawMessage
	Deterministic               bool
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(data, &all))
	require.Len(t, all, 4)
	return all
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			key, err := jwk.ParsePrivate(v.Key)
			require.NoError(t, err)
			want, err := base64.RawURLEncoding.DecodeString(v.Signature)
			require.NoError(t, err)
			require.NoError(t, jws.Verify(v.Alg, key.Public, []byte(v.Input), want))
			got, err := jws.Sign(t.Context(), v.Alg, key.Private, []byte(v.Input))
			require.NoError(t, err)
			assert.Len(t, got, len(want))
			if v.Deterministic {
				assert.Equal(t, want, got)
			}
			require.NoError(t, jws.Verify(v.Alg, key.Public, []byte(v.Input), got))
		})
	}
}

// Others read the signatures, and theirs are read here.
func TestSignaturesAgreeWithGolangJWT(t *testing.T) {
	for alg, kind := range fitting {
		if alg == jws.Ed25519 {
			continue // a name that it doesn't know
		}
		t.Run(alg, func(t *testing.T) {
			key, other := keys()[kind], jwt.GetSigningMethod(alg)
			sig, err := jws.Sign(t.Context(), alg, key, []byte("input"))
			require.NoError(t, err)
			require.NoError(t, other.Verify("input", sig, key.Public()))
			sig, err = other.Sign("input", key)
			require.NoError(t, err)
			require.NoError(t, jws.Verify(alg, key.Public(), []byte("input"), sig))
		})
	}
}

// rawSigner returns r and s one after the other.
type rawSigner struct{ *ecdsa.PrivateKey }

func (s rawSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	r, t, err := ecdsa.Sign(rand.Reader, s.PrivateKey, digest)
	size := (s.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), t.FillBytes(make([]byte, size))...), err
}

// contextSigner signs with a context only.
type contextSigner struct {
	crypto.Signer
	want context.Context
}

func (s contextSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("Sign was called on a context signer")
}

func (s contextSigner) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if ctx != s.want {
		return nil, errors.New("another context")
	}
	return s.Signer.Sign(rand.Reader, digest, opts)
}

func TestWhateverFormTheSignerReturns(t *testing.T) {
	ctx := t.Context()
	for alg, size := range signatureSize {
		key := keys()[fitting[alg]]
		signers := map[string]crypto.Signer{"ASN.1": key, "with a context": contextSigner{key, ctx}}
		if ec, ok := key.(*ecdsa.PrivateKey); ok {
			signers["raw"] = rawSigner{ec}
			signers["raw, with a context"] = contextSigner{rawSigner{ec}, ctx}
		}
		for name, signer := range signers {
			t.Run(alg+" "+name, func(t *testing.T) {
				sig, err := jws.Sign(ctx, alg, signer, []byte("input"))
				require.NoError(t, err)
				require.Len(t, sig, size)
				require.NoError(t, jws.Verify(alg, key.Public(), []byte("input"), sig))
			})
		}
	}
}

// Numbers that happen to be short get zeros in front (RFC 7518 §3.4).
func TestShortNumbersAreFilled(t *testing.T) {
	for alg, size := range map[string]int{jws.ES256: 64, jws.ES384: 96, jws.ES512: 132} {
		signer := fixedSigner{keys()[fitting[alg]].Public(), []byte{0x30, 6, 2, 1, 3, 2, 1, 5}, nil}
		sig, err := jws.Sign(t.Context(), alg, signer, nil)
		require.NoError(t, err)
		want := make([]byte, size)
		want[size/2-1], want[size-1] = 3, 5
		assert.Equal(t, want, sig)
	}
}

// fixedSigner returns what it was made with.
type fixedSigner struct {
	public crypto.PublicKey
	sig    []byte
	err    error
}

func (s fixedSigner) Public() crypto.PublicKey { return s.public }
func (s fixedSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.sig, s.err
}

func TestWhatIsNoSignature(t *testing.T) {
	broken := errors.New("broken")
	order := elliptic.P256().Params().N.Bytes()
	good, err := keys()["P-256"].Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		alg, kind string
		sig       []byte
		err       error
		want      string
	}{
		"error":           {jws.ES256, "P-256", nil, broken, "broken"},
		"short RSA":       {jws.RS256, "RSA", bytesOf(1, 255), nil, "255 bytes, a signature of this key has 256"},
		"ASN.1 RSA":       {jws.PS256, "RSA", bytesOf(1, 260), nil, "it must be the raw RSA signature"},
		"short Ed25519":   {jws.EdDSA, "Ed25519", bytesOf(1, 63), nil, "63 bytes, an Ed25519 signature has 64"},
		"empty":           {jws.ES256, "P-256", nil, nil, "0 bytes that are no ECDSA signature on P-256"},
		"zeros":           {jws.ES256, "P-256", bytesOf(0, 64), nil, "no ECDSA signature"},
		"r is the order":  {jws.ES256, "P-256", append(order, order...), nil, "no ECDSA signature"},
		"too short":       {jws.ES256, "P-256", bytesOf(1, 63), nil, "63 bytes"},
		"of P-384":        {jws.ES256, "P-256", bytesOf(1, 96), nil, "96 bytes"},
		"bytes behind it": {jws.ES256, "P-256", append(good, 0), nil, "no ECDSA signature"},
	} {
		t.Run(name, func(t *testing.T) {
			signer := fixedSigner{keys()[c.kind].Public(), c.sig, c.err}
			sig, err := jws.Sign(t.Context(), c.alg, signer, []byte("input"))
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, sig)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func bytesOf(b byte, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = b
	}
	return data
}

func TestVerifyTakesOneFormOnly(t *testing.T) {
	input := []byte("input")
	for alg, kind := range fitting {
		t.Run(alg, func(t *testing.T) {
			key := keys()[kind]
			sig, err := jws.Sign(t.Context(), alg, key, input)
			require.NoError(t, err)
			require.NoError(t, jws.Verify(alg, key.Public(), input, sig))
			require.ErrorIs(t, jws.Verify(alg, key.Public(), []byte("other"), sig), jws.ErrSignature)
			for name, wrong := range map[string][]byte{
				"none": nil, "cut": sig[:len(sig)-1], "longer": append(sig[:len(sig):len(sig)], 0),
				"zeros": make([]byte, len(sig)), "changed": append([]byte{sig[0] ^ 1}, sig[1:]...),
			} {
				require.ErrorIs(t, jws.Verify(alg, key.Public(), input, wrong), jws.ErrSignature, name)
			}
		})
	}
	key := keys()["P-256"].(*ecdsa.PrivateKey)
	digest := crypto.SHA256.New()
	digest.Write(input)
	inASN1, err := ecdsa.SignASN1(rand.Reader, key, digest.Sum(nil))
	require.NoError(t, err)
	require.ErrorIs(t, jws.Verify(jws.ES256, key.Public(), input, inASN1), jws.ErrSignature)
	pss, err := rsa.SignPSS(rand.Reader, keys()["RSA"].(*rsa.PrivateKey), crypto.SHA256, digest.Sum(nil),
		&rsa.PSSOptions{SaltLength: 20})
	require.NoError(t, err)
	require.ErrorIs(t, jws.Verify(jws.PS256, keys()["RSA"].Public(), input, pss), jws.ErrSignature)
}

func TestASN1(t *testing.T) {
	for _, kind := range []string{"P-256", "P-384", "P-521"} {
		key := keys()[kind].(*ecdsa.PrivateKey)
		digest := bytesOf(7, 32)
		for _, signer := range []crypto.Signer{key, rawSigner{key}} {
			sig, err := signer.Sign(rand.Reader, digest, crypto.SHA256)
			require.NoError(t, err)
			got, err := jws.ASN1(&key.PublicKey, digest, sig)
			require.NoError(t, err)
			assert.True(t, ecdsa.VerifyASN1(&key.PublicKey, digest, got))
		}
		_, err := jws.ASN1(&key.PublicKey, digest, []byte("nonsense"))
		require.ErrorContains(t, err, "8 bytes that are no ECDSA signature on "+kind)
	}
}
