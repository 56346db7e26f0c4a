// Command library gets a token by certtoken and ends.
package main

import (
	"context"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/bench/coldstart/internal/task"
)

func main() { task.Done(token()) }

func token() (string, error) {
	authority := certtoken.Entra(task.Tenant, certtoken.WithHost(task.Host()))
	client, err := certtoken.NewClient(authority, task.ClientID, certtoken.CertFile(task.File()))
	if err != nil {
		return "", err
	}
	token, err := client.Token(context.Background(), task.Scope)
	return token.AccessToken(), err
}
