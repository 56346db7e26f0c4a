package certtokentest_test

import (
	"crypto/rsa"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewCertificate(t *testing.T) {
	a, b := certtokentest.NewCertificate(t), certtokentest.NewCertificate(t)
	assert.False(t, a.Signer.(*rsa.PrivateKey).Equal(b.Signer), "distinct keys")
	assert.NotEqual(t, a.Leaf.SerialNumber, b.Leaf.SerialNumber)
	assert.Equal(t, "certtokentest", a.Leaf.Subject.CommonName)
	assert.Equal(t, 2048, a.Leaf.PublicKey.(*rsa.PublicKey).N.BitLen())
	assert.Empty(t, a.Chain)

	c := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	d := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	assert.Same(t, c.Signer, d.Signer)
	assert.False(t, c.Leaf.Equal(d.Leaf))
}

func TestNewCertificateOptions(t *testing.T) {
	from, to := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	old := certtokentest.NewCertificate(t, certtokentest.WithKeyBits(3072))
	assert.Equal(t, 3072, old.Leaf.PublicKey.(*rsa.PublicKey).N.BitLen())
	renewed := certtokentest.NewCertificate(t, certtokentest.WithKey(old.Signer),
		certtokentest.WithSubject("renewed"), certtokentest.WithValidity(from, to), nil)
	assert.Same(t, old.Signer, renewed.Signer)
	assert.Equal(t, "renewed", renewed.Leaf.Subject.CommonName)
	assert.Equal(t, from, renewed.Leaf.NotBefore)
	assert.Equal(t, to, renewed.Leaf.NotAfter)
}

func TestNewCertificateChain(t *testing.T) {
	root := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("root"))
	middle := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("middle"),
		certtokentest.SignedBy(root))
	leaf := certtokentest.NewCertificate(t, certtokentest.SignedBy(middle))
	require.Len(t, leaf.Chain, 2)
	assert.Equal(t, "middle", leaf.Chain[0].Subject.CommonName)
	assert.Equal(t, "root", leaf.Chain[1].Subject.CommonName)
	roots, middles := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.Leaf)
	middles.AddCert(middle.Leaf)
	_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middles,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	assert.NoError(t, err)

	_, err = certtokentest.MakeCertificate(certtokentest.SignedBy(leaf))
	assert.ErrorContains(t, err, "no CA")
	_, err = certtokentest.MakeCertificate(certtokentest.WithKeyBits(1024))
	assert.Error(t, err, "certtoken refuses it, in FIPS mode crypto/rsa does")
	_, err = certtokentest.MakeCertificate(certtokentest.WithKeyBits(10))
	assert.Error(t, err)
}

func TestCertificateIsValidInsideBubble(t *testing.T) {
	outside := certtokentest.NewCertificate(t)
	synctest.Test(t, func(t *testing.T) {
		for _, cert := range []*certtoken.Certificate{outside, certtokentest.NewCertificate(t)} {
			_, err := certtoken.Assertion{ClientID: "a", Audience: "b"}.Sign(t.Context(), cert)
			assert.NoError(t, err)
		}
	})
}
