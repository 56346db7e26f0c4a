package azcred_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
	"github.com/certtoken/certtoken/ext/azcred/internal/azcredtest"
)

// Entra ID takes certificates with RSA keys. Whatever else a source has is refused without
// a request: when the client is made if the certificate is at hand, else when the first
// token is asked for. Either error says what to do, and the SDK repeats neither.
func TestKeysThatEntraRefuses(t *testing.T) {
	bare := func(kind certtokentest.KeyKind) *certtoken.Certificate {
		key, err := certtoken.NewKey(certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind)).Signer, "")
		require.NoError(t, err)
		return key
	}
	for name, c := range map[string]struct {
		cert *certtoken.Certificate
		is   error
		says string
	}{
		"EC": {
			certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)),
			certtoken.ErrNotRSA, "Entra ID takes RSA keys only, and this is an EC key of the curve P-256",
		},
		"Ed25519": {
			certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.Ed25519)),
			certtoken.ErrNotRSA, "this is an Ed25519 key: make a certificate with an RSA key",
		},
		"RSA key alone": {
			bare(certtokentest.RSA),
			certtoken.ErrNoCertificate, "Entra ID knows its clients by certificates, and this is a key alone",
		},
		"EC key alone": {
			bare(certtokentest.P384),
			certtoken.ErrNoCertificate, "give the certificate too",
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := certtokentest.New()
			_, err := certtoken.NewClient(srv.Authority(), "client-id", c.cert, certtoken.WithHTTPClient(srv.Client()))
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, c.says)

			later := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
				return c.cert, nil
			})
			client, err := certtoken.NewClient(srv.Authority(), "client-id", later,
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			credential, err := azcred.New(client)
			require.NoError(t, err)
			_, err = credential.GetToken(t.Context(), request(azcredtest.Scope))
			var failed *azcred.AuthenticationError
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, c.says)
			assert.Zero(t, srv.Count(), "nothing was sent")
		})
	}
}
