package main

import "fmt"

// The tenant, the client and the token endpoint that all libraries are given.
const (
	tenant   = "11111111-1111-4111-8111-111111111111"
	clientID = "22222222-2222-4222-8222-222222222222"
	tokenURL = "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0/token"
)

// scopeNames are n scopes as Entra ID writes them.
func scopeNames(n int) []string {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("api://33333333-3333-4333-8333-%012d/.default", i)
	}
	return scopes
}

var oneScope = []string{"https://graph.microsoft.com/.default"}
