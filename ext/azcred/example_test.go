package azcred_test

import (
	"context"
	"errors"
	"log"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/azcred"
)

func Example() {
	password := "from the environment"

	client, err := certtoken.NewClient(
		certtoken.Entra("72f988bf-86f1-41af-91ab-2d7cd011db47"), // tenant
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f",                  // client id
		certtoken.CertFile("private.pfx", certtoken.WithPassword(password)),
		certtoken.WithCapabilities("cp1"),
	)
	if err != nil {
		log.Fatal(err)
	}
	credential, err := azcred.New(client)
	if err != nil {
		log.Fatal(err)
	}
	// Each client of the SDK takes the credential, for instance
	// azsecrets.NewClient("https://contoso.vault.azure.net", credential, nil).
	_ = credential
}

// One client for the SDK, whose tokens can be challenged, and one for code that
// can't answer a challenge.
func ExampleWithCAEClient() {
	var authority certtoken.Authority
	var clientID string
	var source certtoken.CertSource

	client, err := certtoken.NewClient(authority, clientID, source)
	if err != nil {
		log.Fatal(err)
	}
	cae, err := certtoken.NewClient(authority, clientID, source, certtoken.WithCapabilities("cp1"))
	if err != nil {
		log.Fatal(err)
	}
	credential, err := azcred.New(client, azcred.WithCAEClient(cae))
	_, _ = credential, err
}

// A service may ask for a token of another tenant. The certtoken client must allow
// that tenant.
func ExampleNew_tenants() {
	var clientID string
	var source certtoken.CertSource

	client, err := certtoken.NewClient(
		certtoken.Entra("72f988bf-86f1-41af-91ab-2d7cd011db47"), clientID, source,
		certtoken.WithTenants("0a1b2c3d-4e5f-6789-abcd-ef0123456789"),
	)
	if err != nil {
		log.Fatal(err)
	}
	credential, err := azcred.New(client)
	if err != nil {
		log.Fatal(err)
	}
	_ = credential
}

func ExampleAuthenticationError() {
	var credential *azcred.Credential
	ctx := context.Background()

	// A call of one of the SDK's clients returns the same errors.
	_, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
	var failed *azcred.AuthenticationError
	var refused *certtoken.TokenError
	switch {
	case errors.As(err, &refused):
		log.Printf("%s %v: %s", refused.Code, refused.AADSTS, refused.Advice())
	case errors.As(err, &failed):
		log.Print(failed) // certificate, network, context
	}
}
