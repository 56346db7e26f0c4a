// Package azcredtest makes the clients and credentials that the tests of azcred
// and of its example share.
package azcredtest

import (
	"sync"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
)

// Two tenants, and the scope of Key Vault's tokens.
const (
	Tenant      = "00000000-0000-0000-0000-000000000001"
	OtherTenant = "00000000-0000-0000-0000-000000000002"
	Scope       = "https://vault.azure.net/.default"
)

// certificate serves all tests of a process, because a key takes long to make.
var certificate = sync.OnceValues(func() (*certtoken.Certificate, error) { return certtokentest.MakeCertificate() })

// NewClient makes a client of [Tenant] that is registered at the server. It is
// closed when the test ends.
func NewClient(t *testing.T, srv *certtokentest.Server, opts ...certtoken.Option) *certtoken.Client {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(certtoken.Entra(Tenant), "client-id", cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(srv.Client())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// NewCredential makes a credential of the client.
func NewCredential(t *testing.T, client *certtoken.Client, opts ...azcred.Option) *azcred.Credential {
	t.Helper()
	credential, err := azcred.New(client, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}
