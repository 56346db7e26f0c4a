// Package task is what the programs have in common whose start is measured: what they
// are told and how they say that they have a token.
package task

import (
	"fmt"
	"os"
)

// Of the app and of the request.
const (
	Tenant   = "11111111-1111-4111-8111-111111111111"
	ClientID = "22222222-2222-4222-8222-222222222222"
	Scope    = "https://graph.microsoft.com/.default"
)

// Host is the token endpoint's, and File the PEM file with certificate and key.
func Host() string { return os.Args[1] }
func File() string { return os.Args[2] }

// Done prints the token, as the command does, or ends the program with the error.
func Done(token string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token)
}
