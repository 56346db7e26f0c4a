// Command azidentity gets a token by azidentity and ends.
package main

import (
	"context"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certtoken/certtoken/bench/coldstart/internal/task"
)

func main() { task.Done(token()) }

func token() (string, error) {
	data, err := os.ReadFile(task.File())
	if err != nil {
		return "", err
	}
	certs, key, err := azidentity.ParseCertificates(data, nil)
	if err != nil {
		return "", err
	}
	at := cloud.Configuration{ActiveDirectoryAuthorityHost: "https://" + task.Host() + "/"}
	credential, err := azidentity.NewClientCertificateCredential(task.Tenant, task.ClientID, certs, key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions:            azcore.ClientOptions{Cloud: at},
			DisableInstanceDiscovery: true, // for a host that isn't Microsoft's
		})
	if err != nil {
		return "", err
	}
	token, err := credential.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{task.Scope}})
	return token.Token, err
}
