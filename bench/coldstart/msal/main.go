// Command msal gets a token by MSAL Go and ends.
package main

import (
	"context"
	"os"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/certtoken/certtoken/bench/coldstart/internal/task"
)

func main() { task.Done(token()) }

func token() (string, error) {
	data, err := os.ReadFile(task.File())
	if err != nil {
		return "", err
	}
	certs, key, err := confidential.CertFromPEM(data, "")
	if err != nil {
		return "", err
	}
	credential, err := confidential.NewCredFromCert(certs, key)
	if err != nil {
		return "", err
	}
	client, err := confidential.New("https://"+task.Host()+"/"+task.Tenant, task.ClientID, credential,
		confidential.WithInstanceDiscovery(false)) // for a host that isn't Microsoft's
	if err != nil {
		return "", err
	}
	result, err := client.AcquireTokenByCredential(context.Background(), []string{task.Scope})
	return result.AccessToken, err
}
