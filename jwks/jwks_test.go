package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/selfsigned"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

// set is a JWK Set as anybody reads it.
type set struct {
	Keys []map[string]any `json:"keys"`
}

func parse(t *testing.T, data []byte) set {
	t.Helper()
	var s set
	require.NoError(t, json.Unmarshal(data, &s))
	for _, key := range s.Keys {
		for name := range key {
			assert.Contains(t, []string{
				"kty", "use", "alg", "kid", "crv", "x", "y", "n", "e", "x5t#S256", "x5c",
			}, name, "a member that has no place in a public key")
		}
	}
	return s
}

func marshal(t *testing.T, o jwks.Options, certs ...*certtoken.Certificate) set {
	t.Helper()
	data, err := o.Marshal(certs...)
	require.NoError(t, err)
	return parse(t, data)
}

func newCert(t *testing.T, opts selfsigned.Options) *certtoken.Certificate {
	t.Helper()
	cert, err := selfsigned.New(opts)
	require.NoError(t, err)
	return cert
}

// bare is a key without a certificate.
func bare(t *testing.T, opts selfsigned.Options, kid string) *certtoken.Certificate {
	t.Helper()
	key, err := selfsigned.GenerateKey(opts)
	require.NoError(t, err)
	cert, err := certtoken.NewKey(key, kid)
	require.NoError(t, err)
	return cert
}

var kinds = []struct {
	name          string
	opts          selfsigned.Options
	kty, alg, crv string
	members       []string
}{
	{"RSA", selfsigned.Options{}, "RSA", "RS256", "", []string{"n", "e"}},
	{"P-256", selfsigned.Options{Key: selfsigned.EC}, "EC", "ES256", "P-256", []string{"crv", "x", "y"}},
	{
		"P-384", selfsigned.Options{Key: selfsigned.EC, Curve: elliptic.P384()},
		"EC", "ES384", "P-384", []string{"crv", "x", "y"},
	},
	{
		"P-521", selfsigned.Options{Key: selfsigned.EC, Curve: elliptic.P521()},
		"EC", "ES512", "P-521", []string{"crv", "x", "y"},
	},
	{"Ed25519", selfsigned.Options{Key: selfsigned.Ed25519}, "OKP", "EdDSA", "Ed25519", []string{"crv", "x"}},
}

func TestMarshalWritesEveryKind(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			cert := newCert(t, k.opts)
			data, err := jwks.Marshal(cert)
			require.NoError(t, err)
			key := parse(t, data).Keys[0]
			assert.Equal(t, k.kty, key["kty"])
			assert.Equal(t, k.alg, key["alg"])
			assert.Equal(t, "sig", key["use"])
			sum := sha256.Sum256(cert.Leaf.Raw)
			assert.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), key["x5t#S256"])
			assert.Equal(t, []any{base64.StdEncoding.EncodeToString(cert.Leaf.Raw)}, key["x5c"])
			assert.Equal(t, jwks.KeyID(cert), key["kid"])
			assert.Equal(t, thumbprint(t, key), key["kid"])
			for _, member := range k.members {
				assert.NotEmpty(t, key[member])
			}
			if k.crv != "" {
				assert.Equal(t, k.crv, key["crv"])
			}

			public := &certtoken.Certificate{Leaf: cert.Leaf}
			again, err := jwks.Marshal(public)
			require.NoError(t, err)
			assert.JSONEq(t, string(data), string(again))
		})
	}
}

// thumbprint calculates RFC 7638's from a written key, in another way than we do.
func thumbprint(t *testing.T, key map[string]any) string {
	t.Helper()
	required := map[string]any{}
	for _, name := range map[string][]string{
		"RSA": {"e", "kty", "n"}, "EC": {"crv", "kty", "x", "y"}, "OKP": {"crv", "kty", "x"},
	}[key["kty"].(string)] {
		required[name] = key[name]
	}
	text, err := json.Marshal(required) // it sorts the names
	require.NoError(t, err)
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestMarshalWritesBareKeys(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			named := marshal(t, jwks.Options{}, bare(t, k.opts, "my key")).Keys[0]
			assert.Equal(t, "my key", named["kid"])
			assert.NotContains(t, named, "x5c")
			assert.NotContains(t, named, "x5t#S256")
			assert.Equal(t, k.alg, named["alg"])
			unnamed := marshal(t, jwks.Options{}, bare(t, k.opts, "")).Keys[0]
			assert.Equal(t, thumbprint(t, unnamed), unnamed["kid"])
		})
	}
}

func TestMarshalWritesTheChain(t *testing.T) {
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("root"))
	cert := certtokentest.NewCertificate(t, certtokentest.SignedBy(ca))
	chain := marshal(t, jwks.Options{}, cert).Keys[0]["x5c"].([]any)
	require.Len(t, chain, 2)
	assert.Equal(t, base64.StdEncoding.EncodeToString(ca.Leaf.Raw), chain[1])

	without := marshal(t, jwks.Options{Bare: true}, cert).Keys[0]
	assert.NotContains(t, without, "x5c")
	assert.NotContains(t, without, "x5t#S256")
	assert.Equal(t, jwks.KeyID(cert), without["kid"])
}

// A renewed certificate for the same key keeps its kid, and both are in the set.
func TestRenewedCertificateKeepsTheKeyID(t *testing.T) {
	first := newCert(t, selfsigned.Options{Key: selfsigned.EC})
	renewed, err := selfsigned.For(t.Context(), first.Signer, selfsigned.Options{})
	require.NoError(t, err)
	both := marshal(t, jwks.Options{}, first, renewed, first)
	require.Len(t, both.Keys, 2)
	assert.Equal(t, both.Keys[0]["kid"], both.Keys[1]["kid"])
	assert.NotEqual(t, both.Keys[0]["x5t#S256"], both.Keys[1]["x5t#S256"])
	assert.Len(t, marshal(t, jwks.Options{Bare: true}, first, renewed).Keys, 1)
}

func TestOptionsChangeAlgorithmAndKeyID(t *testing.T) {
	cert := newCert(t, selfsigned.Options{})
	key := marshal(t, jwks.Options{
		Algorithm: certtoken.PS256,
		KeyID:     func(c *certtoken.Certificate) string { return c.Leaf.Subject.CommonName },
	}, cert).Keys[0]
	assert.Equal(t, "PS256", key["alg"])
	assert.Equal(t, "certtoken", key["kid"])
}

// noPublic is a signer that has lost its key.
type noPublic struct{ crypto.Signer }

func (noPublic) Public() crypto.PublicKey { return nil }

func TestMarshalRefuses(t *testing.T) {
	ec, other := newCert(t, selfsigned.Options{Key: selfsigned.EC}), newCert(t, selfsigned.Options{Key: selfsigned.EC})
	small := remote{&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		opts  jwks.Options
		certs []*certtoken.Certificate
		says  string
	}{
		"nothing":        {certs: nil, says: "no key to write"},
		"nil":            {certs: []*certtoken.Certificate{ec, nil}, says: "key 2: it is nil"},
		"zero":           {certs: []*certtoken.Certificate{{}}, says: "key 1: it has neither"},
		"nil key":        {certs: []*certtoken.Certificate{{Signer: (*rsa.PrivateKey)(nil)}}, says: "key 1: "},
		"nil EC key":     {certs: []*certtoken.Certificate{{Signer: (*ecdsa.PrivateKey)(nil)}}, says: "key 1: "},
		"no public half": {certs: []*certtoken.Certificate{{Signer: noPublic{}}}, says: "key 1: "},
		"small RSA":      {certs: []*certtoken.Certificate{{Signer: small}}, says: "1024 bits"},
		"odd curve":      {certs: []*certtoken.Certificate{{Signer: p224}}, says: "P-224"},
		"mixed pair":     {certs: []*certtoken.Certificate{{Leaf: ec.Leaf, Signer: other.Signer}}, says: "key 1: "},
		"one kid twice": {
			certs: []*certtoken.Certificate{{Signer: ec.Signer, KeyID: "a"}, {Signer: other.Signer, KeyID: "a"}},
			says:  `key 2: another key has its kid "a"`,
		},
		"unfit algorithm": {
			opts: jwks.Options{Algorithm: certtoken.PS256}, certs: []*certtoken.Certificate{ec}, says: "PS256",
		},
		"unknown algorithm": {opts: jwks.Options{Algorithm: "none"}, certs: []*certtoken.Certificate{ec}, says: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := tt.opts.Marshal(tt.certs...)
			assert.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, "jwks: ")
			assert.Nil(t, data)
		})
	}
	_, err = jwks.Marshal(&certtoken.Certificate{Leaf: ec.Leaf, Signer: other.Signer})
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	for _, cert := range []*certtoken.Certificate{nil, {}, {Signer: small}, {Signer: (*rsa.PrivateKey)(nil)}} {
		assert.Empty(t, jwks.KeyID(cert))
	}
}

// A set is read by the order of its keys, so that order stays.
func TestMarshalKeepsTheOrder(t *testing.T) {
	var certs []*certtoken.Certificate
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprint(i))
		certs = append(certs, bare(t, selfsigned.Options{Key: selfsigned.Ed25519}, fmt.Sprint(i)))
	}
	var got []string
	for _, key := range marshal(t, jwks.Options{}, certs...).Keys {
		got = append(got, key["kid"].(string))
	}
	assert.Equal(t, want, got)
	assert.True(t, slices.IsSorted(got))
}

// remote is a signer whose private half is nowhere.
type remote struct{ pub crypto.PublicKey }

func (r remote) Public() crypto.PublicKey { return r.pub }

func (r remote) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a set needs no signature")
}

func TestMarshalNeedsNoPrivateHalf(t *testing.T) {
	key := bare(t, selfsigned.Options{Key: selfsigned.EC}, "")
	want, err := jwks.Marshal(key)
	require.NoError(t, err)
	got, err := jwks.Marshal(&certtoken.Certificate{Signer: remote{key.Signer.Public()}})
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

// The kid in the set is that of the assertion.
func TestAssertionCarriesTheKeyIDOfTheSet(t *testing.T) {
	withKeyID := certtoken.WithKeyIDFunc(jwks.KeyID)
	for _, k := range kinds {
		named := newCert(t, k.opts)
		named.KeyID = "named"
		for name, tt := range map[string]struct {
			cert *certtoken.Certificate
			opts []certtoken.AuthorityOption
		}{
			"certificate":       {newCert(t, k.opts), []certtoken.AuthorityOption{withKeyID}},
			"named certificate": {named, nil},
			"key":               {bare(t, k.opts, ""), nil},
			"named key":         {bare(t, k.opts, "my key"), nil},
			"key by function":   {bare(t, k.opts, "my key"), []certtoken.AuthorityOption{withKeyID}},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				sent := headerOf(t, tt.cert, tt.opts...)
				key := marshal(t, jwks.Options{}, tt.cert).Keys[0]
				assert.Equal(t, key["kid"], sent["kid"])
				assert.Equal(t, key["x5t#S256"], sent["x5t#S256"])
				assert.Equal(t, key["alg"], sent["alg"])
			})
		}
	}
}

// headerOf is the header of the assertion that is sent.
func headerOf(t *testing.T, cert *certtoken.Certificate, opts ...certtoken.AuthorityOption) map[string]any {
	t.Helper()
	sent := &endpoint{}
	client, err := certtoken.NewClient(
		certtoken.Issuer("https://idp.example", "https://idp.example/token", opts...), "app", cert,
		certtoken.WithHTTPClient(&http.Client{Transport: sent}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "scope")
	require.NoError(t, err)
	return sent.header
}

// endpoint grants a token for any assertion, and keeps its header.
type endpoint struct{ header map[string]any }

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(r.PostForm.Get("client_assertion"), ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &e.header); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, `{"access_token":"a","token_type":"Bearer","expires_in":3600}`)
	return w.Result(), err
}
