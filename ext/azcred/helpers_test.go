package azcred_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
)

const (
	tenant      = "00000000-0000-0000-0000-000000000001"
	otherTenant = "00000000-0000-0000-0000-000000000002"
	scope       = "https://vault.azure.net/.default"
)

// made is a certificate for all tests: a key takes long to make.
var made = sync.OnceValues(func() (*certtoken.Certificate, error) { return certtokentest.MakeCertificate() })

// newClient makes a client that is registered at the server.
func newClient(t *testing.T, srv *certtokentest.Server, opts ...certtoken.Option) *certtoken.Client {
	t.Helper()
	cert, err := made()
	require.NoError(t, err)
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(certtoken.Entra(tenant), "client-id", cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(srv.Client())}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func newCredential(t *testing.T, client *certtoken.Client, opts ...azcred.Option) *azcred.Credential {
	t.Helper()
	credential, err := azcred.New(client, opts...)
	require.NoError(t, err)
	return credential
}
