package keyvaulttest_test

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/ext/keyvault/keyvaulttest"
)

// A program's test: the vault and the token endpoint are on this machine, and in no network.
func Example() {
	t := &testing.T{} // the test's own
	cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
	vault := keyvaulttest.New(t, "my-app", cert)
	source, err := keyvault.FromKey(vault.URL(), "my-app", vault.Credential(), vault.Option())
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := certtokentest.New(certtokentest.WithIssuer("https://as.example"))
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(srv.Authority(), "client-id", source, certtoken.WithHTTPClient(srv.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = client.Token(context.Background(), "read")
	fmt.Println(err, vault.Signed())
	// Output: <nil> [ES256]
}

type maker = func(string, string, azcore.TokenCredential, ...keyvault.Option) (*keyvault.Source, error)

var makers = map[string]maker{"FromSecret": keyvault.FromSecret, "FromKey": keyvault.FromKey}

// patiently is for a machine that is too busy to read a PFX in the time that there is for it, as its
// password is hashed very often.
var patiently = keyvault.WithTimeout(5 * time.Minute)

// Both sources conform over the vault, with each kind of key that a vault has.
func TestConformance(t *testing.T) {
	for _, kind := range []certtokentest.KeyKind{
		certtokentest.RSA, certtokentest.P256, certtokentest.P384, certtokentest.P521,
	} {
		vault := keyvaulttest.New(t, "my-app", certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind)))
		for name, from := range makers {
			t.Run(name+"/"+kind.String(), func(t *testing.T) {
				certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
					source, err := from(vault.URL(), "my-app", vault.Credential(), vault.Option(), patiently)
					require.NoError(t, err)
					return source
				})
			})
		}
	}
}

// What a user tests: a renewal, a version that is disabled, and a vault that refuses.
func TestChanges(t *testing.T) {
	for name, from := range makers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
				two := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P384))
				vault := keyvaulttest.New(t, "my-app", one)
				source, err := from(vault.URL(), "my-app", vault.Credential(), vault.Option())
				require.NoError(t, err)
				now := func() *certtoken.Certificate {
					time.Sleep(16 * time.Minute) // after which the source looks again, behind the caller
					_, err := source.Certificate(t.Context())
					require.NoError(t, err)
					synctest.Wait()
					cert, err := source.Certificate(t.Context())
					require.NoError(t, err)
					return cert
				}
				assert.True(t, now().Leaf.Equal(one.Leaf))
				vault.Add(t, two)
				vault.Disable(true)
				assert.True(t, now().Leaf.Equal(one.Leaf))
				assert.ErrorIs(t, source.Health(), keyvault.ErrDisabled)
				vault.Disable(false)
				vault.Refuse(http.StatusForbidden)
				assert.True(t, now().Leaf.Equal(one.Leaf))
				assert.ErrorContains(t, source.Health(), "403")
				vault.Refuse(0)
				assert.True(t, now().Leaf.Equal(two.Leaf))
				assert.NoError(t, source.Health())

				other, err := from(vault.URL(), "another", vault.Credential(), vault.Option())
				require.NoError(t, err)
				_, err = other.Certificate(t.Context())
				assert.ErrorContains(t, err, "404")
			})
		})
	}
}

// hardware is a key that nobody can take out.
type hardware struct{ key crypto.Signer }

func (h hardware) Public() crypto.PublicKey { return h.key.Public() }
func (h hardware) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return h.key.Sign(r, digest, opts)
}

// A key that isn't exportable signs in the vault, and isn't in the secret.
func TestNotExportable(t *testing.T) {
	made := certtokentest.NewCertificate(t)
	cert, err := certtoken.NewCertificate(hardware{made.Signer}, made.Leaf, nil)
	require.NoError(t, err)
	vault := keyvaulttest.New(t, "my-app", cert)
	fromKey, err := keyvault.FromKey(vault.URL(), "my-app", vault.Credential(), vault.Option())
	require.NoError(t, err)
	got, err := fromKey.Certificate(t.Context())
	require.NoError(t, err)
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), got)
	require.NoError(t, err)
	assert.Equal(t, []string{"PS256"}, vault.Signed())

	fromSecret, err := keyvault.FromSecret(vault.URL(), "my-app", vault.Credential(), vault.Option())
	require.NoError(t, err)
	_, err = fromSecret.Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
	assert.ErrorContains(t, err, "use keyvault.FromKey")
}

// A context that has ended ends a request.
func TestContext(t *testing.T) {
	vault := keyvaulttest.New(t, "my-app", certtokentest.NewCertificate(t))
	source, err := keyvault.FromKey(vault.URL(), "my-app", vault.Credential(), vault.Option())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = source.Certificate(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}
