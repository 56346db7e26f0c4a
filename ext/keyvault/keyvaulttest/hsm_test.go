package keyvaulttest_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/ext/keyvault/keyvaulttest"
	"github.com/certtoken/certtoken/jwks"
)

// A managed HSM has keys only, and the program has the certificate.
func ExampleNewManagedHSM() {
	t := &testing.T{} // the test's own
	cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
	hsm := keyvaulttest.NewManagedHSM(t, "my-key", cert)
	source, err := keyvault.FromKey(hsm.URL(), "my-key", hsm.Credential(), hsm.Option(),
		keyvault.WithCertificate(cert.Leaf))
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := source.Certificate(context.Background())
	fmt.Println(err, got.Leaf.Equal(cert.Leaf))
	// Output: <nil> true
}

var kinds = []certtokentest.KeyKind{certtokentest.RSA, certtokentest.P256, certtokentest.P384, certtokentest.P521}

// Keys of a managed HSM conform and get tokens, with the certificate that is given and alone;
// keys of a vault that have no certificate do too.
func TestKeysAlone(t *testing.T) {
	for _, kind := range kinds {
		cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSharedKey())
		set, err := jwks.Marshal(cert)
		require.NoError(t, err)
		places := map[string]*keyvaulttest.Vault{"managed HSM": keyvaulttest.NewManagedHSM(t, "my-key", cert)}
		if kind == certtokentest.P256 {
			places["vault"] = keyvaulttest.New(t, "my-key", cert)
		}
		for place, vault := range places {
			for what, option := range map[string]keyvault.Option{
				"certificate": keyvault.WithCertificate(cert.Leaf), "alone": keyvault.WithoutCertificate(),
			} {
				if kind == certtokentest.P521 && what == "alone" {
					continue // this curve is slow, and the other kinds show it
				}
				t.Run(place+"/"+kind.String()+"/"+what, func(t *testing.T) {
					newSource := func(t *testing.T) certtoken.CertSource {
						source, err := keyvault.FromKey(
							vault.URL(),
							"my-key",
							vault.Credential(),
							vault.Option(),
							option,
						)
						require.NoError(t, err)
						return source
					}
					certtokentest.TestCertSource(t, newSource)

					srv := certtokentest.New(certtokentest.WithIssuer("https://as.example"))
					require.NoError(t, srv.RegisterJWKS("client-id", set))
					got, err := newSource(t).Certificate(t.Context())
					require.NoError(t, err)
					assert.Equal(t, what == "alone", got.Leaf == nil)
					client, err := certtoken.NewClient(srv.Authority(), "client-id", newSource(t),
						certtoken.WithHTTPClient(srv.Client()))
					require.NoError(t, err)
					defer client.Close()
					_, err = client.Token(t.Context(), "read")
					require.NoError(t, err)
				})
			}
		}
	}
}

// noting is a credential that notes what it was asked for.
type noting struct {
	azcore.TokenCredential
	scopes []string
}

func (n *noting) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	n.scopes = append(n.scopes, options.Scopes...)
	return n.TokenCredential.GetToken(ctx, options)
}

// The token is for managed HSMs, and not for vaults.
func TestAudience(t *testing.T) {
	hsm := keyvaulttest.NewManagedHSM(t, "my-key", certtokentest.NewCertificate(t, certtokentest.WithSharedKey()))
	credential := &noting{TokenCredential: hsm.Credential()}
	source, err := keyvault.FromKey(hsm.URL(), "my-key", credential, hsm.Option(), keyvault.WithoutCertificate())
	require.NoError(t, err)
	_, err = source.Certificate(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, credential.scopes)
	for _, scope := range credential.scopes {
		assert.Equal(t, "https://managedhsm.azure.net/.default", scope)
	}
}

// What can be wrong is said before the HSM is asked, where it can be.
func TestManagedHSMMistakes(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	hsm, vault := keyvaulttest.NewManagedHSM(t, "my-key", cert), keyvaulttest.New(t, "my-key", cert)
	given, alone := keyvault.WithCertificate(cert.Leaf), keyvault.WithoutCertificate()
	for name, c := range map[string]struct {
		from  maker
		vault *keyvaulttest.Vault
		opts  []keyvault.Option
		want  string
	}{
		"no certificate":       {keyvault.FromKey, hsm, nil, "give WithCertificate or WithoutCertificate"},
		"a secret":             {keyvault.FromSecret, hsm, nil, "has no secrets: use FromKey"},
		"a secret's key alone": {keyvault.FromSecret, vault, []keyvault.Option{alone}, "are for FromKey"},
		"a secret, given":      {keyvault.FromSecret, vault, []keyvault.Option{given}, "are for FromKey"},
		"nil": {keyvault.FromKey, hsm, []keyvault.Option{keyvault.WithCertificate(nil)},
			"nil certificate"},
		"both":                  {keyvault.FromKey, hsm, []keyvault.Option{given, alone}, "only one of"},
		"both, the other first": {keyvault.FromKey, hsm, []keyvault.Option{alone, given}, "only one of"},
		"issuers of nothing": {keyvault.FromKey, hsm, []keyvault.Option{
			alone, keyvault.WithIssuers(cert.Leaf),
		}, "WithIssuers is for a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.from(c.vault.URL(), "my-key", c.vault.Credential(), append(c.opts, c.vault.Option())...)
			assert.ErrorContains(t, err, c.want)
		})
	}

	for name, c := range map[string]struct {
		leaf *x509.Certificate
		want error
	}{
		"another key's": {certtokentest.NewCertificate(t).Leaf, certtoken.ErrKeyMismatch},
		"another kind's": {
			certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)).Leaf,
			certtoken.ErrKeyMismatch,
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := keyvault.FromKey(hsm.URL(), "my-key", hsm.Credential(), hsm.Option(),
				keyvault.WithCertificate(c.leaf))
			require.NoError(t, err)
			_, err = source.Certificate(t.Context())
			require.ErrorIs(t, err, c.want)
			assert.ErrorContains(t, err, "WithVersion")
		})
	}

	source, err := keyvault.FromKey(hsm.URL(), "my-key", hsm.Credential(), hsm.Option(), alone)
	require.NoError(t, err)
	hsm.Refuse(http.StatusForbidden)
	_, err = source.Certificate(t.Context())
	assert.ErrorContains(t, err, "keys/get (role Managed HSM Crypto User)")
}

// A key alone is renewed as a certificate is; a certificate that was given keeps its version
// of the key.
func TestManagedHSMRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
		two := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P384))
		hsm := keyvaulttest.NewManagedHSM(t, "my-key", one)
		make := func(opts ...keyvault.Option) *keyvault.Source {
			source, err := keyvault.FromKey(hsm.URL(), "my-key", hsm.Credential(), append(opts, hsm.Option())...)
			require.NoError(t, err)
			_, err = source.Certificate(t.Context())
			require.NoError(t, err)
			return source
		}
		alone, given := make(keyvault.WithoutCertificate()), make(keyvault.WithCertificate(one.Leaf))
		later := func(source *keyvault.Source) *certtoken.Certificate {
			time.Sleep(16 * time.Minute) // after which the source looks again, behind the caller
			_, err := source.Certificate(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			cert, err := source.Certificate(t.Context())
			require.NoError(t, err)
			return cert
		}

		hsm.Add(t, two)
		hsm.Disable(true)
		assert.Equal(t, one.Signer.Public(), later(alone).Signer.Public())
		assert.ErrorIs(t, alone.Health(), keyvault.ErrDisabled)
		hsm.Disable(false)
		renewed := later(alone)
		assert.Equal(t, two.Signer.Public(), renewed.Signer.Public())
		require.NoError(t, alone.Reload(t.Context(), renewed), "and it was refused")
		again, err := alone.Certificate(t.Context())
		require.NoError(t, err)
		assert.Equal(t, one.Signer.Public(), again.Signer.Public(), "the one before, while the registration spreads")

		assert.Equal(t, one.Leaf.Raw, later(given).Leaf.Raw, "the last good pair")
		assert.ErrorIs(t, given.Health(), certtoken.ErrKeyMismatch)
		pinned := make(keyvault.WithCertificate(one.Leaf), keyvault.WithVersion("00000000000000000000000000000001"))
		assert.NoError(t, pinned.Health())
	})
}

// What isn't there is named, as the service does.
func TestNotFound(t *testing.T) {
	vault := keyvaulttest.New(t, "my-app", certtokentest.NewCertificate(t, certtokentest.WithSharedKey()))
	const version = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		from maker
		name string
		opts []keyvault.Option
		want string
	}{
		"certificate": {keyvault.FromKey, "other", nil,
			"(CertificateNotFound): A certificate with (name/id) other was not found"},
		"key": {keyvault.FromKey, "other", []keyvault.Option{keyvault.WithoutCertificate()},
			"(KeyNotFound): A key with (name/id) other was not found"},
		"secret": {keyvault.FromSecret, "other", nil, "(SecretNotFound): A secret with (name/id) other was not found"},
		"version": {keyvault.FromSecret, "my-app", []keyvault.Option{keyvault.WithVersion(version)},
			"A secret with (name/id) my-app/" + version + " was not found"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := c.from(vault.URL(), c.name, vault.Credential(), append(c.opts, vault.Option())...)
			require.NoError(t, err)
			_, err = source.Certificate(t.Context())
			assert.ErrorContains(t, err, c.want)
		})
	}
}
