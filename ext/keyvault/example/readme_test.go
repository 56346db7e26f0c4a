package main

import (
	"context"
	"log"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/keyvault"
)

// The README's code that uses azidentity stands here, so that it is compiled
// without keyvault itself depending on azidentity.

func Example_managedIdentity() {
	ctx := context.Background()

	credential, err := azidentity.NewManagedIdentityCredential(nil)
	if err != nil {
		log.Fatal(err)
	}
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

// A user-assigned identity is named by its client id.
func Example_userAssignedIdentity() {
	credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ID: azidentity.ClientID("0a1b2c3d-4e5f-6789-abcd-ef0123456789"),
	})
	_, _ = credential, err
}
