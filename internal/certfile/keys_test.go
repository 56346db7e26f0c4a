package certfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keyring has two pairs, and the chain of the first: leaf, intermediate, root.
type keyring struct {
	key                      *rsa.PrivateKey
	pkcs1, pkcs8             []byte
	leaf, intermediate, root *x509.Certificate
	caKey, rootKey           *ecdsa.PrivateKey
	other                    *x509.Certificate // self-signed
	otherPKCS8               []byte
	ecPKCS8                  []byte // key of the intermediate
}

var makeKeys = sync.OnceValues(func() (*keyring, error) {
	k := &keyring{}
	var err error
	if k.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	if k.rootKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if k.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	k.pkcs1 = x509.MarshalPKCS1PrivateKey(k.key)
	for _, m := range []struct {
		der *[]byte
		key any
	}{{&k.pkcs8, k.key}, {&k.otherPKCS8, otherKey}, {&k.ecPKCS8, k.caKey}} {
		if *m.der, err = x509.MarshalPKCS8PrivateKey(m.key); err != nil {
			return nil, err
		}
	}
	for _, c := range []certRecipe{
		{out: &k.root, subject: "Root", ca: true, public: k.rootKey.Public(), signer: k.rootKey},
		{out: &k.intermediate, subject: "Intermediate", ca: true, public: k.caKey.Public(), issuer: &k.root,
			signer: k.rootKey},
		{out: &k.leaf, subject: "Leaf", public: k.key.Public(), issuer: &k.intermediate, signer: k.caKey},
		{out: &k.other, subject: "Other", public: otherKey.Public(), signer: otherKey},
	} {
		if *c.out, err = c.make(); err != nil {
			return nil, err
		}
	}
	return k, nil
})

func testKeys(tb testing.TB) *keyring {
	tb.Helper()
	k, err := makeKeys()
	require.NoError(tb, err)
	return k
}

// certRecipe says what certificate to make; without an issuer a self-signed one.
type certRecipe struct {
	out                 **x509.Certificate
	subject             string
	ca                  bool
	notBefore, notAfter time.Time
	public              crypto.PublicKey
	issuer              **x509.Certificate
	signer              crypto.Signer
	noKeyIDs            bool
}

var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c certRecipe) make() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: c.subject},
		NotBefore:             c.notBefore,
		NotAfter:              c.notAfter,
		IsCA:                  c.ca,
		BasicConstraintsValid: c.ca,
	}
	if c.ca {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = testStart
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = template.NotBefore.AddDate(1, 0, 0)
	}
	parent := template
	if c.issuer != nil {
		parent = *c.issuer
		if c.noKeyIDs {
			copied := *parent
			copied.SubjectKeyId = nil
			parent = &copied
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, c.public, c.signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func mustCert(t *testing.T, c certRecipe) *x509.Certificate {
	t.Helper()
	cert, err := c.make()
	require.NoError(t, err)
	return cert
}

// publicOf is the public half of a pair's key.
func publicOf(pair *Pair) publicKey { return pair.Key.Public().(publicKey) }

func rsaKey(pair *Pair) *rsa.PrivateKey { return pair.Key.(*rsa.PrivateKey) }

// requireWholeKey makes sure that a key is one that signs, and of a kind that is
// accepted.
func requireWholeKey(t *testing.T, key crypto.Signer) {
	t.Helper()
	switch key := key.(type) {
	case *rsa.PrivateKey:
		require.NoError(t, key.Validate())
		require.NoError(t, checkKeySize(&key.PublicKey))
	case *ecdsa.PrivateKey:
		require.True(t, isAcceptedCurve(key.Curve))
		digest := sha256.Sum256([]byte("signed"))
		signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.NoError(t, err)
		require.True(t, ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature))
	case ed25519.PrivateKey:
		signature := ed25519.Sign(key, []byte("signed"))
		require.True(t, ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("signed"), signature))
	default:
		t.Fatalf("a key of type %T", key)
	}
}

func pemOf(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func pemCert(cert *x509.Certificate) []byte { return pemOf("CERTIFICATE", cert.Raw) }

func withPassword(password string) Options { return Options{Password: password, HasPassword: true} }

// skipInFIPSMode skips tests of algorithms that aren't allowed there; what
// happens with them in that mode, fips_test.go tests.
func skipInFIPSMode(tb testing.TB) {
	tb.Helper()
	if fips140.Enforced() {
		tb.Skip("needs algorithms that GODEBUG=fips140=only forbids")
	}
}

// tool finds a program that tests compare with. Only where CI=true must it be
// there.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("%s is needed for this test: %v", name, err)
		}
		tb.Skipf("%s is needed for this test: %v", name, err)
	}
	return path
}
