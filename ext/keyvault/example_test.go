package keyvault_test

import (
	"context"
	"crypto/x509"
	"log"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/keyvault"
)

// The key stays in the vault, which signs. The credential opens the vault.
func ExampleFromKey() {
	ctx := context.Background()

	var credential azcore.TokenCredential // for instance azidentity.NewManagedIdentityCredential(nil)

	source, err := keyvault.FromKey("https://contoso.vault.azure.net", "my-app", credential)
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		source,
	)
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
	_, _ = token, err
}

// The key comes to the program, which signs.
func ExampleFromSecret() {
	var credential azcore.TokenCredential // as above

	source, err := keyvault.FromSecret("https://contoso.vault.azure.net", "my-app", credential)
	_, _ = source, err
}

func ExampleWithClientOptions() {
	var credential azcore.TokenCredential
	var issuingCA *x509.Certificate

	source, err := keyvault.FromKey("https://contoso.vault.azure.net", "my-app", credential,
		keyvault.WithRefreshInterval(5*time.Minute),
		keyvault.WithTimeout(10*time.Second),
		keyvault.WithIssuers(issuingCA),
		keyvault.WithClientOptions(azcore.ClientOptions{
			Retry: policy.RetryOptions{MaxRetries: 5},
		}),
	)
	_, _ = source, err
}

// A managed HSM has keys and no certificates.
func ExampleWithCertificate() {
	var credential azcore.TokenCredential
	var leaf *x509.Certificate // the key's

	source, err := keyvault.FromKey("https://contoso.managedhsm.azure.net", "my-key", credential,
		keyvault.WithCertificate(leaf))
	_, _ = source, err
}

// A server knows the client by a registered key.
func ExampleWithoutCertificate() {
	var credential azcore.TokenCredential

	source, err := keyvault.FromKey("https://contoso.managedhsm.azure.net", "my-key", credential,
		keyvault.WithoutCertificate())
	_, _ = source, err
}

// The certificate before the newest one helps out where that isn't registered
// yet.
func ExampleWithVersion() {
	var newest *keyvault.Source
	var credential azcore.TokenCredential

	before, err := keyvault.FromKey("https://contoso.vault.azure.net", "my-app", credential,
		keyvault.WithVersion("f60f2a4f8ae442cfb41ca2090bd4b769"))
	if err != nil {
		log.Fatal(err)
	}
	source := certtoken.NewestValid(newest, before)
	_ = source
}

// A readiness probe tells that the vault's newest version isn't in use.
func ExampleSource_Health() {
	var source *keyvault.Source // from FromKey or FromSecret

	if err := source.Health(); err != nil {
		log.Print(err) // the last good pair still signs
	}
}
