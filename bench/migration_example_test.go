package main

// The "before" and "after" of docs/migrating.md: this module has the other
// libraries.

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/certtoken/certtoken"
)

func Example_fromMSAL() {
	ctx, password := context.Background(), os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")
	before := func(req *http.Request) error {
		data, err := os.ReadFile("private.pem")
		if err != nil {
			return err
		}
		certs, key, err := confidential.CertFromPEM(data, password)
		if err != nil {
			return err
		}
		credential, err := confidential.NewCredFromCert(certs, key)
		if err != nil {
			return err
		}
		app, err := confidential.New("https://login.microsoftonline.com/contoso.onmicrosoft.com", "client-id",
			credential)
		if err != nil {
			return err
		}
		result, err := app.AcquireTokenByCredential(ctx, []string{"https://graph.microsoft.com/.default"})
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+result.AccessToken)
		return nil
	}
	after := func(req *http.Request) error {
		client, err := certtoken.NewClient(
			certtoken.Entra("contoso.onmicrosoft.com"),
			"client-id",
			certtoken.CertFile("private.pem", certtoken.WithPassword(password)),
		)
		if err != nil {
			return err
		}
		token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
		if err != nil {
			return err
		}
		return token.SetAuthHeader(req) // https only
	}
	_, _ = before, after
}

func Example_fromMSALOnBehalfOf() {
	ctx := context.Background()
	var app confidential.Client
	var client *certtoken.Client
	var userToken string

	result, err := app.AcquireTokenOnBehalfOf(ctx, userToken, []string{"https://graph.microsoft.com/User.Read"})
	_, _ = result, err

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: []string{"https://graph.microsoft.com/User.Read"},
		Grant:  certtoken.OnBehalfOf(userToken),
	})
	_, _ = token, err
}

func Example_fromAzidentity() {
	ctx := context.Background()
	var credential *azidentity.ClientCertificateCredential
	var client *certtoken.Client

	result, err := credential.GetToken(ctx, policy.TokenRequestOptions{
		Scopes: []string{"https://management.azure.com/.default"},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Print(result.ExpiresOn)

	token, err := client.Token(ctx, "https://management.azure.com/.default")
	if err != nil {
		log.Fatal(err)
	}
	log.Print(token.ExpiresAt())
}
