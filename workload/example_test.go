package workload_test

import (
	"context"
	"fmt"
	"log"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/workload"
)

// A job of GitHub Actions with permissions: {id-token: write}.
func ExampleGitHubActions() {
	client, err := certtoken.NewFederatedClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		workload.GitHubActions(nil),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(client)
	// Output:
	// certtoken.Client(client-id at https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token)
}

// A program in Azure gets tokens of an app in another tenant.
func ExampleManagedIdentity() {
	identity := workload.Identity{ClientID: "client id of the managed identity"}
	client, err := certtoken.NewFederatedClient(
		certtoken.Entra("fabrikam.onmicrosoft.com"),
		"client id of the app",
		workload.ManagedIdentity(identity, nil),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_ = func(ctx context.Context) (*certtoken.Token, error) {
		return client.Token(ctx, "https://graph.microsoft.com/.default")
	}
}
