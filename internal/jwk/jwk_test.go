package jwk_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// keys are one key of each kind, made once.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := make(map[string]crypto.Signer)
	add := func(name string, key crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		made[name] = key
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	add("RSA", rsaKey, err)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		add(curve.Params().Name, key, err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	add("Ed25519", edKey, err)
	return made
})

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// members is a JWK's members, for tests that change some.
type members map[string]any

func (m members) with(name string, value any) members {
	m = maps.Clone(m)
	if value == nil {
		delete(m, name)
	} else {
		m[name] = value
	}
	return m
}

func (m members) json(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	require.NoError(t, err)
	return data
}

// private writes a key as the standard asks.
func private(t testing.TB, key crypto.Signer) members {
	t.Helper()
	public, err := jwk.New(key.Public())
	require.NoError(t, err)
	data, err := json.Marshal(public)
	require.NoError(t, err)
	m := make(members)
	require.NoError(t, json.Unmarshal(data, &m))
	switch key := key.(type) {
	case *rsa.PrivateKey:
		for name, n := range map[string]*big.Int{
			"d": key.D, "p": key.Primes[0], "q": key.Primes[1],
			"dp": key.Precomputed.Dp, "dq": key.Precomputed.Dq, "qi": key.Precomputed.Qinv,
		} {
			m[name] = encode(n.Bytes())
		}
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		require.NoError(t, err)
		m["d"] = encode(d)
	case ed25519.PrivateKey:
		m["d"] = encode(key.Seed())
	}
	return m
}

func TestPrivateKeysAreRead(t *testing.T) {
	for kind, key := range keys() {
		t.Run(kind, func(t *testing.T) {
			data := private(t, key).with("kid", "key-1").with("use", "sig").with("key_ops", []string{"sign"}).
				with("unknown", []any{1, members{"a": nil}}).json(t)
			got, err := jwk.ParsePrivate(append([]byte("\xef\xbb\xbf \r\n"), data...))
			require.NoError(t, err)
			assert.True(t, jwk.Is(data))
			assert.Equal(t, "key-1", got.KeyID)
			assert.Equal(t, key.Public(), got.Public)
			assert.Equal(t, key.Public(), got.Private.Public())
			alg, err := jws.Default(got.Public)
			require.NoError(t, err)
			sig, err := jws.Sign(t.Context(), alg, got.Private, []byte("input"))
			require.NoError(t, err)
			require.NoError(t, jws.Verify(alg, key.Public(), []byte("input"), sig))
		})
	}
}

func TestWhatLooksLikeAJWK(t *testing.T) {
	for data, want := range map[string]bool{
		`{"kty":"EC"}`: true,
		"\xef\xbb\xbf\n{ \"use\": \"sig\", \"kty\": \"RSA\", \"n\"": true,
		`{"keys": []}`: true,
		`{"kty":"RSA","pem":"-----BEGIN CERTIFICATE-----"}`:      true,
		`{"keys":["-----BEGIN PRIVATE KEY-----"]}`:               false,
		`{"PrivateKey":"-----BEGIN ENCRYPTED PRIVATE KEY-----"}`: false,
		`{}`:    false,
		`"kty"`: false,
		"":      false,
	} {
		assert.Equal(t, want, jwk.Is([]byte(data)), data)
	}
}

func TestRSAKeyWithoutPrimes(t *testing.T) {
	m := private(t, keys()["RSA"])
	for _, name := range []string{"p", "q", "dp", "dq", "qi"} {
		m = m.with(name, nil)
	}
	got, err := jwk.ParsePrivate(m.json(t))
	require.NoError(t, err)
	for _, alg := range []string{jws.RS256, jws.PS256} {
		sig, err := jws.Sign(t.Context(), alg, got.Private, []byte("input"))
		require.NoError(t, err)
		require.NoError(t, jws.Verify(alg, got.Public, []byte("input"), sig))
	}
	d := new(big.Int).Add(keys()["RSA"].(*rsa.PrivateKey).D, big.NewInt(2))
	_, err = jwk.ParsePrivate(m.with("d", encode(d.Bytes())).json(t))
	require.ErrorIs(t, err, jwk.ErrMismatch)

	n := make([]byte, 1025) // 8193 bits
	n[0], n[1024] = 1, 1
	_, err = jwk.ParsePrivate(m.with("n", encode(n)).json(t))
	require.ErrorIs(t, err, jwk.ErrUnsupported)
	require.ErrorContains(t, err, "8193 bits without p and q")
}

func TestPublicKeysAreWritten(t *testing.T) {
	for kind, key := range keys() {
		t.Run(kind, func(t *testing.T) {
			public, err := jwk.New(key.Public())
			require.NoError(t, err)
			public.KeyID, public.Use = "key-1", "sig"
			data, err := json.Marshal(public)
			require.NoError(t, err)
			assert.NotContains(t, string(data), `"d"`)
			got, err := jwk.Parse(data)
			require.NoError(t, err)
			assert.Equal(t, key.Public(), got.Public)
			assert.Nil(t, got.Private)
			assert.Equal(t, "key-1", got.KeyID)
			assert.Equal(t, "sig", got.Use)
			_, err = jwk.ParsePrivate(data)
			require.ErrorIs(t, err, jwk.ErrNoPrivate)
		})
	}
	_, err := jwk.New(nil)
	require.ErrorIs(t, err, jws.ErrNoKey)
	data, err := json.Marshal(jwk.Set{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"keys":[]}`, string(data))
}

// A coordinate with zeros in front keeps them (RFC 7518 §6.2.1.2).
func TestCoordinatesKeepTheirZeros(t *testing.T) {
	d := make([]byte, 32)
	for i := range 4096 {
		d[30], d[31] = byte((i+1)>>8), byte(i+1)
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
		require.NoError(t, err)
		point, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		if point[1] != 0 {
			continue
		}
		public, err := jwk.New(key.Public())
		require.NoError(t, err)
		assert.Equal(t, encode(point[1:33]), public.X)
		got, err := jwk.ParsePrivate(private(t, key).json(t))
		require.NoError(t, err)
		assert.Equal(t, key.Public(), got.Public)
		_, err = jwk.Parse(private(t, key).with("x", encode(point[2:33])).json(t))
		require.ErrorContains(t, err, "its member x has 31 bytes and must have 32")
		return
	}
	t.Fatal("none of 4096 keys has a coordinate that begins with zero")
}

func TestThumbprintVectors(t *testing.T) {
	set, err := os.ReadFile("testdata/rfc7517-a1.json")
	require.NoError(t, err)
	read, skipped, err := jwk.ParseSet(set)
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Len(t, read, 2)

	rsaKey := read[1] // the key of RFC 7638 §3.1 too
	assert.Equal(t, "2011-04-29", rsaKey.KeyID)
	assert.Equal(t, "RS256", rsaKey.Algorithm)
	assert.Equal(t, "enc", read[0].Use)
	got, err := jwk.Thumbprint(rsaKey.Public)
	require.NoError(t, err)
	assert.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", got, "RFC 7638 §3.1")

	key, err := jwk.Parse([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	require.NoError(t, err)
	got, err = jwk.Thumbprint(key.Public)
	require.NoError(t, err)
	assert.Equal(t, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", got, "RFC 8037 appendix A.3")

	// There is no vector for EC in the standards, so the text is written by hand here.
	ec, err := jwk.New(read[0].Public)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
		`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`))
	assert.Equal(t, encode(sum[:]), ec.Thumbprint())
}

func TestPrivateSetOfTheStandard(t *testing.T) {
	set, err := os.ReadFile("testdata/rfc7517-a2.json")
	require.NoError(t, err)
	read, skipped, err := jwk.ParseSet(set)
	require.NoError(t, err)
	require.Len(t, read, 2)
	for _, key := range read {
		assert.NotNil(t, key.Private, key.KeyID)
	}
	require.Len(t, skipped, 1)
	require.ErrorIs(t, skipped[0], jwk.ErrUnsupported)
	require.ErrorContains(t, skipped[0], "key 3: it is a secret that both sides know (kty oct)")
	_, err = jwk.ParsePrivate(set)
	require.ErrorContains(t, err, "it is a set of keys (JWKS)")
}

func TestHalvesThatDoNotBelongTogether(t *testing.T) {
	for kind, key := range keys() {
		var other crypto.Signer
		var err error
		switch key := key.(type) {
		case *rsa.PrivateKey:
			other, err = rsa.GenerateKey(rand.Reader, 2048)
		case *ecdsa.PrivateKey:
			other, err = ecdsa.GenerateKey(key.Curve, rand.Reader)
		default:
			_, other, err = ed25519.GenerateKey(rand.Reader)
		}
		require.NoError(t, err)
		strange := private(t, other)
		for _, name := range []string{"n", "x", "d", "p", "q"} {
			if strange[name] == nil {
				continue
			}
			got, err := jwk.ParsePrivate(private(t, key).with(name, strange[name]).json(t))
			require.Error(t, err, "%s of another %s key", name, kind)
			assert.Nil(t, got)
			if kind == "RSA" || kind == "Ed25519" || name == "d" {
				require.ErrorIs(t, err, jwk.ErrMismatch, "%s of another %s key", name, kind)
			}
		}
	}
}

// certificate makes a self-signed certificate.
func certificate(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func TestCertificatesOfAKey(t *testing.T) {
	for kind, key := range keys() {
		t.Run(kind, func(t *testing.T) {
			leaf, issuer := certificate(t, key), certificate(t, keys()["RSA"])
			public, err := jwk.New(key.Public())
			require.NoError(t, err)
			data, err := json.Marshal(public.WithCertificate(leaf, []*x509.Certificate{issuer}))
			require.NoError(t, err)
			var shown struct {
				X5C  []string `json:"x5c"`
				X5TS string   `json:"x5t#S256"`
			}
			require.NoError(t, json.Unmarshal(data, &shown))
			sum := sha256.Sum256(leaf.Raw)
			assert.Equal(t, encode(sum[:]), shown.X5TS)
			assert.Equal(t, base64.StdEncoding.EncodeToString(leaf.Raw), shown.X5C[0])
			got, err := jwk.Parse(data)
			require.NoError(t, err)
			assert.Equal(t, [][]byte{leaf.Raw, issuer.Raw}, got.Chain)
			assert.Equal(t, sum[:], got.CertSHA256)
			if kind == "RSA" {
				return
			}
			data, err = json.Marshal(public.WithCertificate(issuer, nil))
			require.NoError(t, err)
			_, err = jwk.Parse(data)
			require.ErrorIs(t, err, jwk.ErrMismatch)
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	rsaKey, ec, ed := private(t, keys()["RSA"]), private(t, keys()["P-256"]), private(t, keys()["Ed25519"])
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	shortKey := members{"kty": "RSA", "n": encode(short.N.Bytes()), "e": "AQAB"}
	point := func(b byte) string { return encode(append(make([]byte, 31), b)) }
	for name, c := range map[string]struct {
		data any // members or text
		is   error
		want string
	}{
		"empty":      {"", jwk.ErrFormat, "not a JSON object"},
		"a list":     {"[]", jwk.ErrFormat, "not a JSON object"},
		"half":       {`{"kty":"RSA","n":`, jwk.ErrFormat, "damaged"},
		"not closed": {`{"kty":"RSA"`, jwk.ErrFormat, "damaged"},
		"two":        {`{"kty":"RSA"}{}`, jwk.ErrFormat, "something stands behind"},
		"twice":      {`{"kty":"oct","kty":"RSA"}`, jwk.ErrFormat, "twice"},
		"no kty":     {members{"n": "AQAB"}, jwk.ErrFormat, "kty is missing"},
		"a service account": {
			members{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nAA", "private_key_id": "1"},
			jwk.ErrFormat, `a PEM key in its member "private_key"`,
		},
		"kty in upper case": {rsaKey.with("kty", nil).with("KTY", "RSA"), jwk.ErrFormat, "kty is missing"},
		"kty is a number":   {members{"kty": 1}, jwk.ErrFormat, "kty is not a string"},
		"kty is null":       {`{"kty":null}`, jwk.ErrFormat, "kty is not a string"},
		"unknown kty":       {members{"kty": "AKP"}, jwk.ErrUnsupported, `its kty is "AKP"`},
		"rsa":               {rsaKey.with("kty", "rsa"), jwk.ErrUnsupported, `its kty is "rsa"`},
		"oct":               {members{"kty": "oct", "k": "c2VjcmV0"}, jwk.ErrUnsupported, "kty oct"},
		"set":               {`{"keys":[]}`, jwk.ErrFormat, "set of keys (JWKS)"},
		"no n":              {rsaKey.with("n", nil), jwk.ErrFormat, "n is missing"},
		"n is a number":     {rsaKey.with("n", 3), jwk.ErrFormat, "n is not a string"},
		"n is padded":       {rsaKey.with("n", rsaKey["n"].(string)+"=="), jwk.ErrFormat, "n is not base64url"},
		"n has lines":       {rsaKey.with("n", "\r\n"+rsaKey["n"].(string)), jwk.ErrFormat, "base64url"},
		"n is even":         {rsaKey.with("n", encode(append(bytesOf(255, 255), 254))), jwk.ErrFormat, "n is not the"},
		"n is short":        {shortKey, jws.ErrKeySize, "1024 bits"},
		"n is long":         {shortKey.with("n", encode(bytesOf(255, 2049))), jws.ErrKeySize, "16392 bits"},
		"n is very long":    {shortKey.with("n", encode(bytesOf(255, 9999))), jwk.ErrFormat, "n has over 2049 bytes"},
		"e is 1":            {rsaKey.with("e", "AQ"), jwk.ErrFormat, "e is not the exponent"},
		"e is even":         {rsaKey.with("e", "AQAA"), jwk.ErrFormat, "e is not the exponent"},
		"e is long":         {rsaKey.with("e", "gAAAAQ"), jwk.ErrFormat, "e is not the exponent"},
		"p without d":       {rsaKey.with("d", nil), jwk.ErrFormat, "private member p and no d"},
		"q without d":       {rsaKey.with("d", nil).with("p", nil), jwk.ErrFormat, "private member q and no d"},
		"d is null":         {rsaKey.with("d", json.RawMessage("null")), jwk.ErrFormat, "d is not a string"},
		"d is empty":        {rsaKey.with("d", ""), jwk.ErrFormat, "d is missing or empty"},
		"no q":              {rsaKey.with("q", nil), jwk.ErrFormat, "one of p and q"},
		"p is 1":            {rsaKey.with("p", "AQ"), jwk.ErrFormat, "p is not a prime"},
		"p is n, q is 1":    {rsaKey.with("p", rsaKey["n"]).with("q", "AQ"), jwk.ErrFormat, "q is not a prime"},
		"three primes":      {rsaKey.with("oth", []any{}), jwk.ErrUnsupported, "more than two primes"},
		"no crv":            {ec.with("crv", nil), jwk.ErrUnsupported, `its crv is ""`},
		"secp256k1":         {ec.with("crv", "secp256k1"), jwk.ErrUnsupported, `its crv is "secp256k1"`},
		"P-224":             {ec.with("crv", "P-224"), jwk.ErrUnsupported, `its crv is "P-224"`},
		"another curve":     {ec.with("crv", "P-384"), jwk.ErrFormat, "x has 32 bytes and must have 48"},
		"no y":              {ec.with("y", nil), jwk.ErrFormat, "y is missing"},
		"no point": {ec.with("x", point(1)).with("y", point(1)), jwk.ErrFormat,
			"not a point of the curve P-256"},
		"zero point": {ec.with("x", point(0)).with("y", point(0)), jwk.ErrFormat, "not a point"},
		"d is zero":  {ec.with("d", point(0)), jwk.ErrFormat, "not a private key of the curve"},
		"d is the order": {ec.with("d", encode(elliptic.P256().Params().N.Bytes())), jwk.ErrFormat,
			"not a private key"},
		"short d":           {ec.with("d", "AQ"), jwk.ErrFormat, "d has 1 bytes and must have 32"},
		"X25519":            {ed.with("crv", "X25519"), jwk.ErrUnsupported, `its crv is "X25519"`},
		"Ed448":             {ed.with("crv", "Ed448"), jwk.ErrUnsupported, `its crv is "Ed448"`},
		"no x":              {ed.with("x", nil), jwk.ErrFormat, "x is missing"},
		"long x":            {ed.with("x", encode(bytesOf(1, 33))), jwk.ErrFormat, "x has over 32 bytes"},
		"bits behind x":     {ed.with("x", ed["x"].(string)[:42]+"_"), jwk.ErrFormat, "x is not base64url"},
		"x5c isn't a list":  {ec.with("x5c", "MIIB"), jwk.ErrFormat, "x5c is not a list"},
		"x5c isn't base64":  {ec.with("x5c", []string{"%"}), jwk.ErrFormat, "x5c is not a list of certificates"},
		"x5t#S256":          {ec.with("x5t#S256", "AQAB"), jwk.ErrFormat, "x5t#S256 is not a SHA-256"},
		"kid is a number":   {ec.with("kid", 7), jwk.ErrFormat, "kid is not a string"},
		"for encryption":    {ec.with("use", "enc"), jwk.ErrUnsupported, `its use is "enc"`},
		"only verifies":     {ec.with("key_ops", []string{"verify"}), jwk.ErrUnsupported, "key_ops"},
		"alg of encryption": {rsaKey.with("alg", "RSA-OAEP"), jwk.ErrUnsupported, `"RSA-OAEP"`},
		"alg of a curve":    {ec.with("alg", "ES384"), jwk.ErrUnsupported, "its alg: ES384 is for EC keys"},
		"huge":              {strings.Repeat(" ", jwk.MaxKey+1), jwk.ErrTooLarge, "over 131072 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var data []byte
			if m, ok := c.data.(members); ok {
				data = m.json(t)
			} else {
				data = []byte(c.data.(string))
			}
			got, err := jwk.ParsePrivate(data)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, got)
			assertNoSecret(t, err.Error(), data)
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

// base64URL is a text that can stand in a key.
var base64URL = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// assertNoSecret checks that a text has no part of a private member. A part that the
// key has in another place too, as a fuzzer writes a piece of d into crv, isn't
// secret: an error quotes what crv is.
func assertNoSecret(t testing.TB, text string, data []byte) {
	t.Helper()
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		return
	}
	all := string(data) + fmt.Sprint(m) // both as it was written and with its escapes read
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		value, ok := m[name].(string)
		for i := 0; ok && i+8 <= len(value); i += 4 {
			if part := value[i : i+8]; base64URL.MatchString(part) && strings.Count(all, part) <= 2 {
				assert.NotContains(t, text, part, name)
			}
		}
	}
}

func TestSetsThatAreRefused(t *testing.T) {
	one := string(private(t, keys()["P-256"]).json(t))
	for name, c := range map[string]struct {
		data string
		is   error
		want string
	}{
		"one key":         {one, jwk.ErrFormat, "one key and not a set"},
		"no keys":         {`{}`, jwk.ErrFormat, "no list of keys"},
		"keys is null":    {`{"keys":null}`, jwk.ErrFormat, "no list of keys"},
		"keys is a key":   {`{"keys":` + one + `}`, jwk.ErrFormat, "no list of keys"},
		"Keys":            {`{"Keys":[` + one + `]}`, jwk.ErrFormat, "no list of keys"},
		"HTML":            {`<html>`, jwk.ErrFormat, "not a JSON object"},
		"very many":       {`{"keys":[1` + strings.Repeat(`,1`, 256) + `]}`, jwk.ErrTooLarge, "over 256 keys"},
		"more than 1 MiB": {`{"keys":[]}` + strings.Repeat(" ", jwk.MaxSet), jwk.ErrTooLarge, "over 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := jwk.ParseSet([]byte(c.data))
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
		})
	}
	read, skipped, err := jwk.ParseSet([]byte(`{"keys":[7,` + one + `,{"kty":"new"}],"more":1}`))
	require.NoError(t, err)
	assert.Len(t, read, 1)
	assert.Len(t, skipped, 2)
}

// A key shows nothing of its private half, by value, by pointer and inside of others.
func TestKeysAreNotPrinted(t *testing.T) {
	for kind, signer := range keys() {
		data := private(t, signer).with("kid", "name").json(t)
		key, err := jwk.ParsePrivate(data)
		require.NoError(t, err)
		encoded, err := json.Marshal(struct{ A, B any }{key, *key})
		require.NoError(t, err)
		text := string(encoded)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, *key) + fmt.Sprintf(verb, []jwk.Key{*key})
		}
		assert.Contains(t, text, "private half of an", kind)
		assertNoSecret(t, text, data)
		if key, ok := signer.(*ecdsa.PrivateKey); ok {
			//lint:ignore SA1019 only its text
			assert.NotContains(t, text, key.D.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, key := range keys() {
		f.Add(private(f, key).json(f))
		f.Add(private(f, key).with("p", nil).with("q", nil).json(f))
		f.Add(private(f, key).with("x5c", []string{"MIIB"}).with("key_ops", []string{"sign"}).json(f))
	}
	for _, file := range []string{"rfc7517-a1.json", "rfc7517-a2.json"} {
		data, err := os.ReadFile("testdata/" + file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"kty":"oct","k":"c2VjcmV0"}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA"},[],1]}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-252hkRefg86","x":"AA","y":"2hkRefg86","d":"2hkRefg86"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, skipped, err := jwk.ParseSet(data)
		for _, one := range skipped {
			assertNoSecret(t, one.Error(), data)
		}
		if err != nil {
			assertNoSecret(t, err.Error(), data)
		}
		if key, err := jwk.Parse(data); err == nil {
			all = append(all, key)
		} else {
			assertNoSecret(t, err.Error(), data)
		}
		for _, key := range all {
			checkRead(t, key)
		}
	})
}

// checkRead checks that a key that was read can be written and read again, and signs.
func checkRead(t *testing.T, key *jwk.Key) {
	public, err := jwk.New(key.Public)
	require.NoError(t, err)
	data, err := json.Marshal(public)
	require.NoError(t, err)
	again, err := jwk.Parse(data)
	require.NoError(t, err)
	require.Equal(t, key.Public, again.Public)
	if key.Private == nil {
		return
	}
	alg, err := jws.Default(key.Public)
	require.NoError(t, err)
	sig, err := jws.Sign(t.Context(), alg, key.Private, []byte("input"))
	require.NoError(t, err)
	require.NoError(t, jws.Verify(alg, key.Public, []byte("input"), sig))
}
