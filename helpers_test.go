package certtoken_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// newKey returns an RSA key that this test was not given before. Other tests get the same
// keys: to make one for each would take most of the time of these tests.
func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	testKeys.Lock()
	defer testKeys.Unlock()
	n := testKeys.given[test]
	testKeys.given[test] = n + 1
	if n == 0 {
		t.Cleanup(func() { // for the next run of the same test
			testKeys.Lock()
			defer testKeys.Unlock()
			if t.Name() == test {
				delete(testKeys.given, test)
			}
		})
	}
	if n == len(testKeys.made) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		testKeys.made = append(testKeys.made, key)
	}
	return testKeys.made[n]
}

// testKeys are the keys of newKey, and how many each test was given.
var testKeys = struct {
	sync.Mutex
	made  []*rsa.PrivateKey
	given map[string]int
}{given: make(map[string]int)}

// serials makes certificates of the same key and time differ, as those of a bubble would be.
var serials atomic.Int64

// leafOf makes a self-signed certificate for any key.
func leafOf(t testing.TB, key crypto.Signer, from time.Time, validity time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1_000_000 + serials.Add(1)),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    from,
		NotAfter:     from.Add(validity),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return leaf
}

// certOf makes a self-signed pair.
func certOf(t testing.TB, key *rsa.PrivateKey, from time.Time, validity time.Duration) *certtoken.Certificate {
	t.Helper()
	cert, err := certtoken.NewCertificate(key, leafOf(t, key, from, validity), nil)
	require.NoError(t, err)
	return cert
}

// newECKey makes an EC key on P-256.
func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// kinds are one key of each kind, made once.
var kinds = sync.OnceValue(func() map[string]crypto.Signer {
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

// rawSigner returns ECDSA signatures as PKCS #11 and vaults do: r and s, one after the other.
type rawSigner struct{ key *ecdsa.PrivateKey }

func (s rawSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s rawSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest)
	size := (s.key.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...), err
}
