package certtoken_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// newKey makes an RSA key.
func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

// leafOf makes a self-signed certificate for any key.
func leafOf(t testing.TB, key crypto.Signer, from time.Time, validity time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
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
