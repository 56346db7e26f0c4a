package certfile

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rsaValues are the INTEGERs of an RSAPrivateKey in their order.
type rsaValues [9][]byte

const (
	atVersion = iota
	atN
	atE
	atD
	atP
	atQ
	atDP
	atDQ
	atQInv
)

func valuesOf(key *rsa.PrivateKey) rsaValues {
	pre := key.Precomputed
	var v rsaValues
	for i, n := range []*big.Int{
		new(big.Int), key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1], pre.Dp, pre.Dq, pre.Qinv,
	} {
		v[i] = integer(n)
	}
	return v
}

// integer is the content of an INTEGER.
func integer(n *big.Int) []byte {
	if n.Sign() < 0 {
		// Two's complement: n + 2^(8·octets).
		size := uint(n.BitLen()/8 + 1)
		return new(big.Int).Add(n, new(big.Int).Lsh(one, 8*size)).Bytes()
	}
	return append(make([]byte, 1-min(1, n.BitLen()%8)), n.Bytes()...)
}

// with is v with some of its values replaced; v itself stays.
func (v rsaValues) with(n *big.Int, at ...int) rsaValues {
	for _, i := range at {
		v[i] = integer(n)
	}
	return v
}

func (v rsaValues) padded(zeros int, at ...int) rsaValues {
	for _, i := range at {
		v[i] = append(make([]byte, zeros), v[i]...)
	}
	return v
}

func (v rsaValues) der() []byte {
	var parts [][]byte
	for _, value := range v {
		parts = append(parts, tlv(2, value))
	}
	return seq(parts...)
}

// strangeKeys are forms of k's key that are not what RFC 8017 asks for: the good
// ones are still the key, the bad ones are damaged.
func strangeKeys(k *keyring) (good, bad map[string][]byte) {
	key, v := k.key, valuesOf(k.key)
	zero, two := new(big.Int), big.NewInt(2)
	p, q := key.Primes[0], key.Primes[1]
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	plus := func(x *big.Int, times int64) *big.Int {
		return new(big.Int).Add(x, new(big.Int).Mul(phi, big.NewInt(times)))
	}
	swapped := v
	swapped[atP], swapped[atQ], swapped[atDP], swapped[atDQ] = v[atQ], v[atP], v[atDQ], v[atDP]
	empty := v
	empty[atD] = nil
	good = map[string][]byte{
		"CRT values 0":                v.with(zero, atDP, atDQ, atQInv).der(),
		"dP 0":                        v.with(zero, atDP).der(),
		"qInv 0":                      v.with(zero, atQInv).der(),
		"CRT values 1":                v.with(one, atDP, atDQ, atQInv).der(),
		"dP of another key":           v.with(plus(key.Precomputed.Dp, 1), atDP).der(),
		"dP larger than p":            v.with(key.D, atDP, atDQ).der(),
		"primes the other way":        swapped.der(),
		"n, e, d":                     v.with(zero, atP, atQ, atDP, atDQ, atQInv).der(),
		"primes of 1":                 v.with(one, atP, atQ).der(),
		"d larger than n":             v.with(plus(key.D, 4), atD).der(),
		"d larger than n, no primes":  v.with(zero, atP, atQ, atDP, atDQ, atQInv).with(plus(key.D, 1000), atD).der(),
		"d for phi, no CRT values":    v.with(plus(key.D, 1), atD).with(zero, atDP, atDQ, atQInv).der(),
		"no d":                        v.with(zero, atD).der(),
		"n with a zero octet":         v.padded(1, atN).der(),
		"all with a zero octet":       v.padded(1, atVersion, atN, atE, atD, atP, atQ, atDP, atDQ, atQInv).der(),
		"e with many zero octets":     v.padded(9, atE).der(),
		"qInv with a zero octet":      v.padded(1, atQInv).der(),
		"zero octets and no primes":   v.with(zero, atP, atQ, atDP, atDQ, atQInv).padded(2, atN, atD).der(),
		"PKCS #8, zero octets":        pkcs8Of(v.padded(1, atD, atP).der()),
		"PKCS #8, no primes":          pkcs8Of(v.with(zero, atP, atQ, atDP, atDQ, atQInv).der()),
		"PKCS #8, bytes behind":       pkcs8Of(append(v.der(), 0, 0, 0)),
		"PKCS #8, zeros and behind":   pkcs8Of(append(v.padded(1, atP).der(), 7)),
		"PKCS #8 without parameters":  seq(number(0), seq(oid(oidRSA)), octets(v.padded(1, atP).der())),
		"PKCS #8 with odd parameters": seq(number(0), seq(oid(oidRSA), seq()), octets(v.der())),
	}
	bad = map[string][]byte{
		"one prime":            v.with(zero, atQ).der(),
		"a wrong prime":        v.with(new(big.Int).Add(q, two), atQ).der(),
		"equal primes":         v.with(p, atQ).der(),
		"another d":            v.with(new(big.Int).Add(key.D, two), atD).der(),
		"another d, no CRT":    v.with(new(big.Int).Add(key.D, two), atD).with(zero, atDP, atDQ, atQInv).der(),
		"another d, no primes": v.with(new(big.Int).Add(key.D, two), atD).with(zero, atP, atQ).der(),
		"an even d, no primes": v.with(new(big.Int).Add(key.D, one), atD).with(zero, atP, atQ).der(),
		"a d of 1, no primes":  v.with(one, atD).with(zero, atP, atQ).der(),
		"no d and no primes":   v.with(zero, atD, atP, atQ).der(),
		"a negative prime":     v.with(new(big.Int).Neg(q), atQ).der(),
		"a negative d":         v.with(new(big.Int).Neg(key.D), atD).der(),
		"a value too few":      seq(tlv(2, v[0]), tlv(2, v[1]), tlv(2, v[2]), tlv(2, v[3])),
		"an immense d":         v.with(new(big.Int).Lsh(key.D, 9000), atD).with(zero, atP, atQ).der(),
		"an empty INTEGER":     empty.der(),
	}
	return good, bad
}

func pkcs8Of(pkcs1 []byte) []byte { return seq(number(0), seq(oid(oidRSA), null()), octets(pkcs1)) }

func TestStrangeKeys(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	good, bad := strangeKeys(k)
	for name, der := range good {
		t.Run(name, func(t *testing.T) {
			for _, data := range [][]byte{der, pemOf("PRIVATE KEY", der)} {
				pair, err := Parse(k.leaf.Raw, Options{Key: data})
				require.NoError(t, err)
				requireSameKey(t, k.key, rsaKey(pair))
			}
			e := modern(testPassword, 1)
			pfx := pfxFile(modernMAC(testPassword, 1), plainSafe(certBag(k.leaf.Raw), shroudedBag(e, der)))
			pair, err := Parse(pfx, withPassword(testPassword))
			require.NoError(t, err, "in a PFX")
			requireSameKey(t, k.key, rsaKey(pair))
		})
	}
	for name, der := range bad {
		t.Run(name, func(t *testing.T) {
			pair, err := Parse(k.leaf.Raw, Options{Key: der})
			assert.Nil(t, pair)
			require.ErrorIs(t, err, ErrFormat)
		})
	}
}

// requireSameKey: the modulus and the primes are those of want, and it signs.
func requireSameKey(t *testing.T, want, got *rsa.PrivateKey) {
	t.Helper()
	require.True(t, want.PublicKey.Equal(&got.PublicKey))
	require.NoError(t, got.Validate())
	require.Equal(t, 0, want.D.Cmp(got.D))
	primes := []string{want.Primes[0].String(), want.Primes[1].String()}
	require.ElementsMatch(t, primes, []string{got.Primes[0].String(), got.Primes[1].String()})
	digest := sha256.Sum256([]byte("text"))
	signature, err := got.Sign(nil, digest[:], crypto.SHA256)
	require.NoError(t, err)
	require.NoError(t, rsa.VerifyPKCS1v15(&want.PublicKey, crypto.SHA256, digest[:], signature))
}

// TestOpenSSLOnStrangeKeys: what is read here is a key that openssl reads too,
// with the same modulus and exponent, and what openssl signs with it is what our
// key signs.
func TestOpenSSLOnStrangeKeys(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	openssl := tool(t, "openssl")
	k := testKeys(t)
	good, bad := strangeKeys(k)
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("text"), 0o600))
	digest := sha256.Sum256([]byte("text"))
	read := 0
	i := 0
	for _, keys := range []map[string][]byte{good, bad} {
		for name, der := range keys {
			i++
			file := filepath.Join(dir, fmt.Sprint(i))
			require.NoError(t, os.WriteFile(file, pemOf(labelOf(der), der), 0o600))
			modulus, opensslErr := exec.Command(openssl, "rsa", "-in", file, "-noout", "-modulus").Output()
			pair, err := Parse(k.leaf.Raw, Options{Key: der})
			if err != nil {
				continue
			}
			if opensslErr != nil {
				// What openssl doesn't read is at least no other key.
				requireSameKey(t, k.key, rsaKey(pair))
				t.Logf("openssl doesn't read %s", name)
				continue
			}
			read++
			assert.Equal(t, fmt.Sprintf("Modulus=%X", rsaKey(pair).N), strings.TrimSpace(string(modulus)), name)
			signature, signErr := exec.Command(openssl, "dgst", "-sha256", "-sign", file, text).Output()
			if signErr != nil || rsa.VerifyPKCS1v15(&k.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
				t.Logf("openssl doesn't sign with %s", name)
				continue
			}
			ours, err := pair.Key.Sign(nil, digest[:], crypto.SHA256)
			require.NoError(t, err, name)
			assert.Equal(t, signature, ours, name)
		}
	}
	assert.GreaterOrEqual(t, read, 20)
}

func labelOf(der []byte) string {
	if classify(der) == kindPKCS8 {
		return "PRIVATE KEY"
	}
	return "RSA PRIVATE KEY"
}

// None of the first 16 primes betrays the factors of this modulus: each is a square modulo both or
// modulo neither.
func TestPrimesOfAnUnluckyKey(t *testing.T) {
	p, q := big.NewInt(3586498659268575727), big.NewInt(3621452840563852087)
	for _, base := range []int64{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53} {
		require.Equal(t, big.Jacobi(big.NewInt(base), p), big.Jacobi(big.NewInt(base), q))
	}
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := rsaNumbers{n: new(big.Int).Mul(p, q), e: 65537, d: new(big.Int).ModInverse(big.NewInt(65537), phi)}
	require.NotNil(t, key.d)
	require.NoError(t, key.findPrimes())
	assert.ElementsMatch(t, []string{p.String(), q.String()}, []string{key.p.String(), key.q.String()})
}

// A hostile key costs as little as one that is refused for its size.
func TestFindPrimesIsBounded(t *testing.T) {
	prime, _ := new(big.Int).SetString(strings.Repeat("1", 1031), 10) // a known prime of 3,423 bits
	lambda := new(big.Int).Sub(prime, one)
	d := new(big.Int).ModInverse(big.NewInt(65537), lambda)
	require.NotNil(t, d)
	long := new(big.Int).Add(d, new(big.Int).Mul(lambda, new(big.Int).Lsh(one, 3000)))
	small, _ := new(big.Int).SetString(strings.Repeat("1", 317), 10) // a prime too
	square := new(big.Int).Mul(small, small)
	large := new(big.Int).SetBit(new(big.Int), maxFactorBits, 1)
	zero := new(big.Int)
	for _, tt := range []struct {
		name string
		key  rsaNumbers
		want error
	}{
		{"a prime for a modulus", rsaNumbers{n: prime, e: 65537, d: d, p: zero, q: zero}, errNoFactors},
		{"and a long exponent", rsaNumbers{n: prime, e: 65537, d: long, p: zero, q: zero}, errNoFactors},
		{"a square for a modulus", rsaNumbers{n: square, e: 65537, d: d, p: zero, q: zero}, errNoFactors},
		{
			"too long an exponent", rsaNumbers{n: prime, e: 65537, d: new(big.Int).Lsh(d, 9000), p: zero, q: zero},
			errLongExp,
		},
		{"too long a modulus", rsaNumbers{n: large, e: 65537, d: d, p: zero, q: zero}, errLongModulus},
		{"an even modulus", rsaNumbers{n: new(big.Int).Lsh(prime, 1), e: 65537, d: d, p: zero, q: zero}, errNoFactors},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := tt.key.complete()
			require.ErrorIs(t, err, tt.want)
			assert.Less(t, time.Since(start), boundedWithin)
		})
	}
}

// FuzzRSAKey changes a key's numbers: what is read is a key that crypto/rsa finds
// sound, and it has the modulus that the bytes say.
func FuzzRSAKey(f *testing.F) {
	k := testKeys(f)
	good, bad := strangeKeys(k)
	for _, keys := range []map[string][]byte{good, bad} {
		for _, der := range keys {
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		private, err := parseKey(der, nil)
		if err != nil {
			return
		}
		public, ok := private.public.(*rsa.PublicKey)
		if !ok || public.N.BitLen() > 2048 {
			return
		}
		opened, err := private.open()
		if err != nil {
			return
		}
		key := opened.(*rsa.PrivateKey)
		require.NoError(t, key.Validate())
		require.True(t, public.Equal(&key.PublicKey))
		require.True(t, bytes.Contains(der, key.N.Bytes()))
	})
}

// A key that is whole and can't be used isn't called broken.
func TestLongExponent(t *testing.T) {
	k := testKeys(t)
	modulus := tlv(2, append([]byte{0}, k.key.N.Bytes()...))
	rest := []byte{2, 1, 1}
	der := seq(number(0), modulus, number(1<<32+1), rest, rest, rest, rest, rest, rest)
	for _, data := range [][]byte{der, pemOf("RSA PRIVATE KEY", der), append(pemCert(k.leaf), pemOf("X", der)...)} {
		_, err := Parse(data, Options{})
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, "exponent 65537")
	}
}
