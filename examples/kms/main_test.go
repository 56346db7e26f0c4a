package kms_test

import (
	"crypto"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// made is a certificate of each kind of key that both services have.
func made(t *testing.T, kind certtokentest.KeyKind) *certtoken.Certificate {
	t.Helper()
	return certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
}

// getsToken lets a client with the pair ask a server for a token, and returns the algorithm
// that its assertion was signed by.
func getsToken(
	t *testing.T, server *certtokentest.Server, authority certtoken.Authority, cert *certtoken.Certificate,
) any {
	t.Helper()
	server.Register("my-service", cert.Leaf)
	client, err := certtoken.NewClient(authority, "my-service", cert, certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
	require.NoError(t, err)
	return server.LastRequest().AssertionHeader["alg"]
}

// publicDER is a public key as both services return it.
func publicDER(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return der
}

func conforms(t *testing.T, cert *certtoken.Certificate) {
	t.Helper()
	assert.Contains(t, cert.Signer.(interface{ String() string }).String(), "KMS")
	certtokentest.TestCertSource(t, func(*testing.T) certtoken.CertSource { return cert })
}

// pair joins a signer, or the error of making it, with its certificate.
func pair(t *testing.T, signer crypto.Signer, err error, leaf *x509.Certificate) *certtoken.Certificate {
	t.Helper()
	require.NoError(t, err)
	cert, err := certtoken.NewCertificate(signer, leaf, nil)
	require.NoError(t, err)
	return cert
}
