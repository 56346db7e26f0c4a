package certfile

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pems(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pemCert(c)...)
	}
	return out
}

func TestChainInAnyOrder(t *testing.T) {
	k := testKeys(t)
	key := pemOf("PRIVATE KEY", k.pkcs8)
	all := []*x509.Certificate{k.leaf, k.intermediate, k.root, k.other}
	for range 24 {
		last := all[3]
		all = slices.Concat([]*x509.Certificate{last}, all[:3])
		if all[0] == k.leaf {
			all[1], all[2] = all[2], all[1]
		}
		pair := requirePair(t, k, append(pems(append(all, all...)...), key...), Options{})
		require.Len(t, pair.Chain, 2)
		assert.True(t, pair.Chain[0].Equal(k.intermediate))
		assert.True(t, pair.Chain[1].Equal(k.root))
	}
	pair := requirePair(t, k, append(pems(k.root, k.leaf), key...), Options{})
	assert.Empty(t, pair.Chain, "the root isn't the leaf's issuer")
}

func TestChainStrangers(t *testing.T) {
	k := testKeys(t)
	key := pemOf("PRIVATE KEY", k.pkcs8)
	// Another CA of the same name: without key identifiers only the signature
	// tells them apart.
	namesake := mustCert(t, certRecipe{subject: "Intermediate", ca: true, public: k.rootKey.Public(), issuer: &k.root,
		signer: k.rootKey})
	plain := mustCert(t, certRecipe{subject: "Leaf", public: k.key.Public(), issuer: &k.intermediate, signer: k.caKey,
		noKeyIDs: true})
	for _, order := range [][]*x509.Certificate{{plain, namesake, k.intermediate}, {k.intermediate, namesake, plain}} {
		pair, err := Parse(append(pems(order...), key...), Options{})
		require.NoError(t, err)
		require.Len(t, pair.Chain, 1)
		assert.True(t, pair.Chain[0].Equal(k.intermediate))
	}
	pair, err := Parse(append(pems(plain, namesake), key...), Options{})
	require.NoError(t, err)
	assert.Empty(t, pair.Chain)
	// Renewed CA, same key: the newer one.
	renewed := mustCert(t, certRecipe{
		subject: "Intermediate", ca: true, public: k.caKey.Public(), issuer: &k.root, signer: k.rootKey,
		notAfter: testStart.AddDate(5, 0, 0),
	})
	pair, err = Parse(append(pems(k.leaf, k.intermediate, renewed), key...), Options{})
	require.NoError(t, err)
	require.Len(t, pair.Chain, 1)
	assert.True(t, pair.Chain[0].Equal(renewed))
}

// Two CAs that certify each other.
func TestChainLoop(t *testing.T) {
	k := testKeys(t)
	a := mustCert(t, certRecipe{subject: "Intermediate", ca: true, public: k.caKey.Public(), issuer: &k.root,
		signer: k.rootKey})
	b := mustCert(t, certRecipe{subject: "Root", ca: true, public: k.rootKey.Public(), issuer: &a, signer: k.caKey})
	pair := requirePair(t, k, append(pems(b, a, k.leaf), pemOf("PRIVATE KEY", k.pkcs8)...), Options{})
	assert.Len(t, pair.Chain, 2)
}

// A signature that can't be verified must not cut the chain, nor cost much.
func TestChainUnverifiable(t *testing.T) {
	k := testKeys(t)
	s := chainSorter{}
	assert.Equal(t, unknown, s.signed(k.leaf, k.intermediate))
	assert.Same(t, k.intermediate, s.issuer(k.leaf, []*x509.Certificate{k.root, k.intermediate}))
	huge := *k.intermediate
	huge.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(k.key.N, 1<<18), E: 3}
	s.checks = 5
	assert.Equal(t, unknown, s.signed(k.leaf, &huge))
	assert.Equal(t, 5, s.checks)
}

func TestRenewedCertificateOfTheSameKey(t *testing.T) {
	k := testKeys(t)
	later := mustCert(t, certRecipe{subject: "Leaf", public: k.key.Public(), issuer: &k.intermediate, signer: k.caKey,
		notBefore: testStart.AddDate(0, 6, 0)})
	sameEnd := mustCert(t, certRecipe{
		subject: "Leaf", public: k.key.Public(), issuer: &k.intermediate, signer: k.caKey,
		notBefore: testStart.AddDate(0, 1, 0), notAfter: k.leaf.NotAfter,
	})
	key := pemOf("PRIVATE KEY", k.pkcs8)
	for _, tt := range []struct {
		want  *x509.Certificate
		certs []*x509.Certificate
	}{
		{later, []*x509.Certificate{k.leaf, later}},
		{later, []*x509.Certificate{later, k.leaf}},
		{sameEnd, []*x509.Certificate{sameEnd, k.leaf}},
		{sameEnd, []*x509.Certificate{k.leaf, sameEnd}},
	} {
		pair, err := Parse(append(pems(tt.certs...), key...), Options{})
		require.NoError(t, err)
		assert.True(t, tt.want.Equal(pair.Leaf))
		for _, c := range tt.certs {
			pair, err := Parse(append(pems(tt.certs...), key...),
				Options{Thumbprint: fmt.Sprintf("%x", sha256.Sum256(c.Raw))})
			require.NoError(t, err)
			assert.True(t, c.Equal(pair.Leaf))
		}
	}
}

// A self-signed certificate that was renewed with its key: the old one's key
// verifies the new one's signature, and still isn't its issuer.
func TestRenewedSelfSigned(t *testing.T) {
	k := testKeys(t)
	var both []*x509.Certificate
	for _, years := range []int{0, 1} {
		both = append(both, mustCert(t, certRecipe{subject: "Self", public: k.key.Public(), signer: k.key,
			notBefore: testStart.AddDate(years, 0, 0)}))
	}
	pair, err := Parse(append(pems(both...), pemOf("PRIVATE KEY", k.pkcs8)...), Options{})
	require.NoError(t, err)
	assert.True(t, both[1].Equal(pair.Leaf))
	assert.Empty(t, pair.Chain)
}

func TestThumbprint(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	data := append(pems(k.other, k.leaf, k.intermediate),
		append(pemOf("PRIVATE KEY", k.otherPKCS8), pemOf("PRIVATE KEY", k.pkcs8)...)...)
	_, err := Parse(data, Options{})
	require.ErrorIs(t, err, ErrSeveralKeys)
	sha1Sum, sha256Sum := sha1.Sum(k.leaf.Raw), sha256.Sum256(k.leaf.Raw)
	for _, c := range []*x509.Certificate{k.leaf, k.other} {
		assert.ErrorContains(t, err, fmt.Sprintf("%X", sha1.Sum(c.Raw)))
		assert.ErrorContains(t, err, c.Subject.CommonName)
	}
	for _, text := range []string{
		fmt.Sprintf("%x", sha1Sum), fmt.Sprintf("%X", sha1Sum), fmt.Sprintf("% X", sha1Sum),
		"\u200e" + strings.ReplaceAll(fmt.Sprintf("% x", sha1Sum), " ", ":"),
		strings.ReplaceAll(fmt.Sprintf("% x", sha1Sum), " ", "-"),
		fmt.Sprintf("%x", sha256Sum), fmt.Sprintf("%X", sha256Sum),
		base64.RawURLEncoding.EncodeToString(sha1Sum[:]), base64.RawURLEncoding.EncodeToString(sha256Sum[:]),
	} {
		requirePair(t, k, data, Options{Thumbprint: text})
	}
	for _, text := range []string{"zz", "00", "   ", strings.Repeat("0", 41), strings.Repeat("x", 5000)} {
		_, err := Parse(data, Options{Thumbprint: text})
		require.ErrorIs(t, err, ErrNoCertificate)
		assert.ErrorContains(t, err, "is not a thumbprint")
		assert.Less(t, len(err.Error()), 300)
	}
	_, err = Parse(data, Options{Thumbprint: strings.Repeat("0", 40)})
	require.ErrorIs(t, err, ErrNoCertificate)
	assert.ErrorContains(t, err, "Leaf", "it says what there is")

	_, err = Parse(data, Options{Thumbprint: fmt.Sprintf("%x", sha256.Sum256(k.intermediate.Raw))})
	require.ErrorIs(t, err, ErrNoPrivateKey)
	onlyOther := append(pems(k.other, k.leaf), pemOf("PRIVATE KEY", k.otherPKCS8)...)
	_, err = Parse(onlyOther, Options{Thumbprint: fmt.Sprintf("%x", sha256Sum)})
	require.ErrorIs(t, err, ErrNoPrivateKey)
	_, err = Parse(append(pemCert(k.leaf), pemOf("PRIVATE KEY", k.otherPKCS8)...),
		Options{Thumbprint: fmt.Sprintf("%x", sha256Sum)})
	require.ErrorIs(t, err, ErrKeyMismatch)
	_, err = Parse(pemCert(k.leaf), Options{Thumbprint: fmt.Sprintf("%x", sha256Sum)})
	require.ErrorIs(t, err, ErrNoPrivateKey)
}

func TestKeyErrors(t *testing.T) {
	k := testKeys(t)
	leaf := pemCert(k.leaf)
	otherAlgorithm := func(id string) []byte { return seq(number(0), seq(oid(id)), octets(octets(make([]byte, 32)))) }
	pss := seq(number(0), seq(oid(oidRSAPSS)), octets(k.pkcs1))
	damaged := slices.Clone(k.pkcs8)
	damaged[bytes.Index(damaged, k.key.Primes[1].Bytes())+9] ^= 1
	for _, keys := range [][]byte{slices.Concat(k.ecPKCS8, damaged), slices.Concat(damaged, k.ecPKCS8)} {
		_, err := Parse(leaf, Options{Key: keys})
		require.ErrorIs(t, err, ErrFormat, "an EC key beside it can't be meant")
		assert.ErrorContains(t, err, "damaged")
	}
	_, errMismatch := Parse(leaf, Options{Key: k.otherPKCS8})
	if assert.ErrorIs(t, errMismatch, ErrKeyMismatch) {
		spki, err := x509.MarshalPKIXPublicKey(k.other.PublicKey)
		require.NoError(t, err)
		assert.ErrorContains(t, errMismatch, fmt.Sprintf("%X", sha256.Sum256(spki)))
		assert.ErrorContains(t, errMismatch, nameOf(k.leaf))
	}
	for name, tt := range map[string]struct {
		key  []byte
		want error
		text string
	}{
		"EC": {k.ecPKCS8, ErrKeyMismatch, "EC P-256 key whose public key has the SHA-256 "},
		"EC key 0": {
			seq(number(1), octets(make([]byte, 32)), explicit0(oid(oidP256))), ErrFormat, "the order of its curve",
		},
		"EC without curve": {seq(number(1), octets([]byte{1})), ErrFormat, "EC PARAMETERS"},
		"Ed25519":          {otherAlgorithm(oidEd25519), ErrKeyMismatch, "Ed25519 key whose public key has"},
		"Ed25519, short": {seq(number(0), seq(oid(oidEd25519)), octets(octets(make([]byte, 31)))), ErrFormat,
			"broken"},
		"DSA": {seq(number(0), number(1), number(2), number(3), number(4), number(5)), ErrUnsupported,
			"DSA"},
		"unknown":    {otherAlgorithm("1.2.3.4"), ErrUnsupported, "1.2.3.4"},
		"RSASSA-PSS": {pss, ErrUnsupported, "RSASSA-PSS"},
		"damaged":    {damaged, ErrFormat, "damaged"},
		"cut":        {k.pkcs8[:len(k.pkcs8)-1], ErrFormat, "a part of it"},
		"RSA of 1 byte": {seq(number(0), number(15), number(3), number(3), number(3), number(5), number(1), number(3),
			number(2)), ErrKeyMismatch, ""},
		"no modulus": {seq(number(0), seq(oid(oidRSA)), octets(seq(number(0)))), ErrFormat, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range [][]byte{tt.key, pemOf("PRIVATE KEY", tt.key)} {
				_, err := Parse(leaf, Options{Key: key})
				assert.ErrorIs(t, err, tt.want)
				assert.ErrorContains(t, err, tt.text)
			}
		})
	}
}

// A damaged copy of the key doesn't hide a good one, wherever it stands.
func TestDamagedCopyOfTheKey(t *testing.T) {
	k := testKeys(t)
	damage := func(at int) []byte {
		damaged := slices.Clone(k.pkcs8)
		damaged[bytes.Index(damaged, k.key.Primes[1].Bytes())+at] ^= 1
		return pemOf("PRIVATE KEY", damaged)
	}
	good, cert := pemOf("PRIVATE KEY", k.pkcs8), pems(k.leaf)
	selected := fmt.Sprintf("%X", sha256.Sum256(k.leaf.Raw))
	for name, keys := range map[string][]byte{
		"before it":           slices.Concat(damage(9), good),
		"behind it":           slices.Concat(good, damage(9)),
		"twice, once differs": slices.Concat(damage(9), damage(9), damage(9), damage(10), good),
	} {
		for _, thumbprint := range []string{"", selected} {
			pair := requirePair(t, k, slices.Concat(cert, keys), Options{Thumbprint: thumbprint})
			assert.Equal(t, k.leaf.Raw, pair.Leaf.Raw, name)
			requirePair(t, k, cert, Options{Key: keys, Thumbprint: thumbprint})
			requirePair(t, k, slices.Concat(cert, damage(7)), Options{Key: good, Thumbprint: thumbprint})
		}
	}
	for _, thumbprint := range []string{"", selected} {
		_, err := Parse(slices.Concat(cert, damage(1), damage(2), damage(3), damage(4), good),
			Options{Thumbprint: thumbprint})
		require.ErrorIs(t, err, ErrFormat, "no more than %d are tried", maxKeyCopies)
		assert.ErrorContains(t, err, "damaged")
	}
}

func TestKeySize(t *testing.T) {
	for _, bits := range []int{1024, 2047} {
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Skip(err) // FIPS 140 mode
		}
		cert := mustCert(t, certRecipe{subject: "Small", public: key.Public(), signer: key})
		_, err = Parse(cert.Raw, Options{Key: x509.MarshalPKCS1PrivateKey(key)})
		require.ErrorIs(t, err, ErrKeySize)
		assert.ErrorContains(t, err, fmt.Sprint(bits))
	}
	huge := &rsa.PublicKey{N: new(big.Int).Lsh(testKeys(t).key.N, maxKeyBits), E: 3}
	assert.ErrorIs(t, checkKeySize(huge), ErrKeySize)
	_, err := privateKey{public: &testKeys(t).key.PublicKey, pkcs1: make([]byte, maxKeyDER+1)}.open()
	assert.ErrorIs(t, err, ErrTooLarge)
}

// A certificate whose key may only sign with PSS, which crypto/x509 reads
// without its key.
func TestPSSCertificate(t *testing.T) {
	k := testKeys(t)
	cert := *k.leaf
	cert.PublicKey = nil
	bits := append([]byte{0}, x509.MarshalPKCS1PublicKey(&k.key.PublicKey)...)
	cert.RawSubjectPublicKeyInfo = seq(seq(oid(oidRSAPSS)), tlv(3, bits))
	public, pssOnly := publicKeyOf(&cert)
	require.True(t, pssOnly)
	assert.True(t, k.key.PublicKey.Equal(public))
	r := newReader(passwords{}, maxTotalRounds)
	r.certs = append(r.certs, &cert)
	require.NoError(t, r.addKey(k.pkcs8))
	_, err := pick(r, nil)
	assert.ErrorIs(t, err, ErrUnsupported)
}

// A certificate request is recognised although crypto/x509 can't read it.
func TestOddRequest(t *testing.T) {
	k := testKeys(t)
	bits := tlv(3, append([]byte{0}, x509.MarshalPKCS1PublicKey(&k.key.PublicKey)...))
	for _, attributes := range [][]byte{nil, tlv(0xa0)} {
		info := seq(number(0), nameOfText(19, "a@b"), seq(seq(oid(oidRSA), null()), bits), attributes)
		csr := seq(info, sha256RSA, tlv(3, make([]byte, 257)))
		_, err := Parse(csr, Options{})
		require.ErrorIs(t, err, ErrFormat)
		assert.ErrorContains(t, err, noteCSR)
	}
}

// Openssl reads an RSA key by its identifier of 1988. What neither reads is named,
// and not said to belong to another key.
func TestCertificateWithAnotherAlgorithm(t *testing.T) {
	k := testKeys(t)
	bits := tlv(3, append([]byte{0}, x509.MarshalPKCS1PublicKey(&k.key.PublicKey)...))
	key := pemOf("PRIVATE KEY", k.pkcs8)
	for name, w := range map[string]certWriter{
		"alone":                 {key: seq(seq(oid(oidX500RSA), number(2048)), bits)},
		"and a negative serial": {key: seq(seq(oid(oidX500RSA), null()), bits), serial: number(-1)},
	} {
		raw := w.sign(&k.key.PublicKey, k.key)
		selected := fmt.Sprintf("%X", sha256.Sum256(raw))
		for _, thumbprint := range []string{"", selected} {
			pair, err := Parse(raw, Options{Key: key, Thumbprint: thumbprint})
			require.NoError(t, err, name)
			assert.True(t, k.key.PublicKey.Equal(pair.Leaf.PublicKey), name)
			assert.Equal(t, raw, pair.Leaf.Raw)
			assert.Contains(t, strings.Join(pair.Deviations, "; "), oidX500RSA)
		}
		_, err := Parse(raw, Options{Key: k.otherPKCS8})
		require.ErrorIs(t, err, ErrKeyMismatch, name)
		if name == "alone" {
			public, err := ParsePublic(raw)
			require.NoError(t, err)
			assert.Nil(t, public.Certificates[0].PublicKey, "crypto/x509 judges what is somebody else's")
		}
	}
	for algorithm, says := range map[string]string{
		"1.2.840.113549.1.1.7": "RSAES-OAEP", "2.16.840.1.101.3.4.3.17": "ML-DSA-44", "1.2.3.4": "algorithm 1.2.3.4",
	} {
		raw := certWriter{key: seq(seq(oid(algorithm)), bits)}.sign(&k.key.PublicKey, k.key)
		for _, thumbprint := range []string{"", fmt.Sprintf("%X", sha256.Sum256(raw))} {
			_, err := Parse(raw, Options{Key: key, Thumbprint: thumbprint})
			require.ErrorIs(t, err, ErrUnsupported, algorithm)
			require.NotErrorIs(t, err, ErrKeyMismatch, algorithm)
			assert.ErrorContains(t, err, says)
		}
	}
}

func TestMultiPrimeKey(t *testing.T) {
	skipInFIPSMode(t)
	//lint:ignore SA1019 such keys exist
	key, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 2048)
	require.NoError(t, err)
	cert := mustCert(t, certRecipe{subject: "Three primes", public: key.Public(), signer: key})
	pair, err := Parse(cert.Raw, Options{Key: x509.MarshalPKCS1PrivateKey(key)})
	require.NoError(t, err)
	assert.True(t, key.Equal(pair.Key))
}

// A key file that is a pair of its own doesn't take the place of the
// certificate that was named; beside a chain it may.
func TestKeyFileWithAPairOfItsOwn(t *testing.T) {
	k := testKeys(t)
	pair := append(pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8)...)

	_, err := Parse(pemCert(k.other), Options{Key: pair})
	require.ErrorIs(t, err, ErrKeyMismatch)
	assert.ErrorContains(t, err, nameOf(k.other))
	assert.ErrorContains(t, err, nameOf(k.leaf))

	for name, data := range map[string][]byte{
		"the same certificate": pemCert(k.leaf),
		"its issuers":          pems(k.intermediate, k.root),
	} {
		got, err := Parse(data, Options{Key: pair})
		require.NoError(t, err, name)
		assert.True(t, got.Leaf.Equal(k.leaf), name)
	}
	got, err := Parse(pemOf("PRIVATE KEY", k.pkcs8), Options{Key: pems(k.leaf, k.other)})
	require.NoError(t, err, "the other way round")
	assert.True(t, got.Leaf.Equal(k.leaf))
}
