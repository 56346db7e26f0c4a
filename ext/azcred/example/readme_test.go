package main

import (
	"log"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/azcred"
)

// The README's code that uses clients of the SDK stands here, so that it is
// compiled without azcred itself depending on them.

func Example_keyVault() {
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
	secrets, err := azsecrets.NewClient("https://contoso.vault.azure.net", credential, nil)
	_, _ = secrets, err
}

// The resource manager's client asks for a token of each auxiliary tenant. The
// certtoken client must allow these tenants.
func Example_auxiliaryTenants() {
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
	subscriptions, err := armsubscriptions.NewClient(credential, &arm.ClientOptions{
		AuxiliaryTenants: []string{"0a1b2c3d-4e5f-6789-abcd-ef0123456789"},
	})
	_, _ = subscriptions, err
}
