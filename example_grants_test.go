package certtoken_test

// The Go blocks of the pages about grants, agents and sessions.

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// Salesforce's JWT bearer flow: the assertion is all that is sent.
func ExampleJWTBearer() {
	login := "https://login.salesforce.com" // https://test.salesforce.com for a sandbox
	client, err := certtoken.NewClient(
		certtoken.Issuer(login, login+"/services/oauth2/token",
			certtoken.WithoutClientAuthentication(),
			certtoken.WithAssumedLifetime(30*time.Minute)), // the answer has no expires_in
		"consumer key", certtoken.CertFile("salesforce.pem"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	token, err := client.Acquire(context.Background(), certtoken.Request{
		Grant: certtoken.JWTBearer(certtoken.Assertion{
			Subject:  "ada@example.com", // the user name
			Lifetime: 3 * time.Minute,
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	instance, _ := token.Extra("instance_url").(string) // where the API is
	_ = instance
}

// DocuSign: the audience is no URL, and the scopes are a claim.
func ExampleJWTBearer_docusign() {
	client, err := certtoken.NewClient(
		certtoken.Issuer("account-d.docusign.com", "https://account-d.docusign.com/oauth/token",
			certtoken.WithoutClientAuthentication()),
		"integration key", certtoken.KeyFile("docusign.pem"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	api := &http.Client{Transport: &certtoken.Transport{
		Client: client,
		Request: certtoken.Request{Grant: certtoken.JWTBearer(certtoken.Assertion{
			Subject: "user GUID",
			Claims:  map[string]any{"scope": "signature impersonation"},
		})},
		Hosts: []string{"demo.docusign.net"},
	}}
	_ = api
}

// Maskinporten: the organisation's certificate is sent, and the times are tighter than usual.
func ExampleJWTBearer_maskinporten() {
	client, err := certtoken.NewClient(
		certtoken.Issuer("https://maskinporten.no/", "https://maskinporten.no/token",
			certtoken.WithoutClientAuthentication(),
			certtoken.WithX5C(),
			certtoken.WithBackdate(5*time.Second)),
		"client id", certtoken.CertFile("virksomhet.pfx"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	token, err := client.Acquire(context.Background(), certtoken.Request{
		Grant: certtoken.JWTBearer(certtoken.Assertion{
			Claims: map[string]any{"scope": "skatteetaten:innrapportert"},
		}),
	})
	_, _ = token, err
}

// An agent identity of Entra ID calls Microsoft Graph, as itself and as its own user.
func ExampleAgentUser() {
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com", certtoken.WithX5C()),
		"client id of the blueprint", certtoken.CertFile("blueprint.pfx"),
		certtoken.WithTenants("fabrikam.onmicrosoft.com")) // where some agents live
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	scopes := []string{"https://graph.microsoft.com/.default"}
	token, err := client.Acquire(ctx, certtoken.Request{
		Agent: "client id of the agent", Tenant: "fabrikam.onmicrosoft.com", Scopes: scopes,
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = token // the agent's own
	token, err = client.Acquire(ctx, certtoken.Request{
		Agent: "client id of the agent", Tenant: "fabrikam.onmicrosoft.com", Scopes: scopes,
		Grant: certtoken.AgentUser("agent@fabrikam.onmicrosoft.com"),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = token // of the agent's user
}

// A user who signed in stays signed in.
func ExampleClient_Session() {
	server := certtokentest.New(certtokentest.WithIssuer(""))
	client := exampleClient(server)
	defer client.Close()
	ctx, code, verifier := context.Background(), "", ""
	database := map[string]string{}

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: []string{"read", "offline_access"},
		Grant:  certtoken.AuthorizationCode(code, "https://app.example/callback", verifier),
	})
	if err != nil {
		return // this example has no code
	}
	database["ada"] = token.RefreshToken() // before anything else
	session := client.Session(token.RefreshToken(), func(ctx context.Context, next string) error {
		database["ada"] = next
		return nil
	})

	token, err = session.Token(ctx, "read")
	if errors.Is(err, certtoken.ErrSignInRequired) {
		log.Print("send the user to sign in")
	}
	_ = token
}

// A token of one server's user is exchanged for one of another API.
func ExampleTokenExchange() {
	client := exampleClient(certtokentest.New(certtokentest.WithIssuer("")))
	defer client.Close()
	ctx, callersToken := context.Background(), "the token that the API was called with"

	token, err := client.Acquire(ctx, certtoken.Request{
		Grant:      certtoken.TokenExchange(callersToken, "access_token"),
		Parameters: url.Values{"audience": {"https://orders.example"}},
	})
	if err != nil {
		return
	}
	_ = token
}

// An identity provider's assertion about a user, for another server (ID-JAG).
func ExampleBearerAssertion() {
	identity := exampleClient(certtokentest.New(certtokentest.WithIssuer("https://login.example")))
	defer identity.Close()
	api := exampleClient(certtokentest.New(certtokentest.WithIssuer("https://api.example")))
	defer api.Close()
	ctx, idToken := context.Background(), "the ID token of the user's sign-in"

	assertion, err := identity.Acquire(ctx, certtoken.Request{
		Grant: certtoken.TokenExchange(idToken, "id_token"),
		Parameters: url.Values{
			"requested_token_type": {"urn:ietf:params:oauth:token-type:id-jag"},
			"audience":             {"https://api.example"},
		},
	})
	if err != nil {
		return
	}
	token, err := api.Acquire(ctx, certtoken.Request{Grant: certtoken.BearerAssertion(assertion.AccessToken())})
	if err != nil {
		return
	}
	_ = token
}

// exampleClient is a client of a server without a socket.
func exampleClient(server *certtokentest.Server) *certtoken.Client {
	client, err := certtoken.NewClient(server.Authority(), "app", certtoken.KeyFile("key.pem"),
		certtoken.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// SMART Backend Services, as a FHIR server wants it.
func TestExampleOfFHIR(t *testing.T) {
	server := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.LikeSMART())
	ctx, hc := t.Context(), server.Client()
	base := server.Issuer()
	authority, err := certtoken.Discover(ctx, base, certtoken.WithDiscoveryClient(hc),
		certtoken.WithKeyID("2026-11")) // the kid in the registered JWKS
	require.NoError(t, err)
	_ = authority
}

// One app's tokens, bound to its certificate, prove another app, which presents the same
// certificate in TLS.
func ExampleWithMTLSPoP() {
	pop := certtoken.WithMTLSPoP()
	home, err := certtoken.NewClient(certtoken.Entra("contoso.com", pop), "client-id", certtoken.CertFile("app.pfx"))
	if err != nil {
		log.Fatal(err)
	}
	away, err := certtoken.NewFederatedClient(certtoken.Entra("fabrikam.com", pop), "other-client-id",
		home.AssertionSource())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(away)
	// Output:
	// certtoken.Client(other-client-id at https://mtlsauth.microsoft.com/fabrikam.com/oauth2/v2.0/token)
}

// A program learns that a session's refresh token is not saved.
func ExampleSession_unsaved() {
	alert := func(message string, about ...any) {} // tells the person on call

	hooks := certtoken.Hooks{SessionUnsaved: func(e certtoken.Event) {
		alert("a user's refresh token isn't saved", "error", e.Err, "again_in", e.RetryIn)
	}}
	_ = certtoken.WithHooks(hooks)
}
