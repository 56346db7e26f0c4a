package spiffe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

// The agent's JWT-SVID is the client's assertion, at a server that knows SPIFFE.
func ExampleNewJWTSource() {
	ctx := context.Background()

	source, err := spiffe.NewJWTSource(spiffe.WithJWTSPIFFE())
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	authority, err := certtoken.Discover(ctx, "https://issuer.example")
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewFederatedClient(authority, "my-app", source)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	token, err := client.Token(ctx, "read")
	_, _ = token, err
}

// At Entra ID a JWT-SVID is a federated credential.
func ExampleNewJWTSource_entra() {
	source, err := spiffe.NewJWTSource()
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	client, err := certtoken.NewFederatedClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		source,
	)
	_, _ = client, err
}

// The X.509-SVID proves the client in TLS.
func ExampleNewX509Source() {
	ctx := context.Background()

	source, err := spiffe.NewX509Source()
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	authority, err := certtoken.Discover(ctx, "https://issuer.example", certtoken.WithTLSClientAuth())
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(authority, "my-app", source)
	_, _ = client, err
}

// A program that starts together with its agent waits for that.
func ExampleX509Source_Wait() {
	ctx := context.Background()
	var source *spiffe.X509Source

	if err := source.Wait(ctx); err != nil {
		log.Fatal(err)
	}
}

// One of several identities is named by its SPIFFE ID or by the operator's hint.
func ExampleWithID() {
	source, err := spiffe.NewX509Source(
		spiffe.WithAddress("unix:///run/spire/agent/public/api.sock"),
		spiffe.WithID("spiffe://example.org/my-app"),
	)
	_, _ = source, err
}

func ExampleX509Source_Health() {
	var source *spiffe.X509Source

	if err := source.Health(); err != nil {
		log.Print(err) // the last good SVID may still be in use
	}
}

// An agent is told from a registration that is missing.
func ExampleErrNoIdentity() {
	ctx := context.Background()
	var client *certtoken.Client

	_, err := client.Token(ctx, "read")
	switch {
	case errors.Is(err, spiffe.ErrNoIdentity):
		fmt.Println("register this process at the SPIRE server")
	case errors.Is(err, spiffe.ErrUnavailable):
		fmt.Println("look after the agent")
	}
}

// exampleTests are the tests that the examples show. They are run, too.
var exampleTests []func(t *testing.T)

func TestExamples(t *testing.T) {
	Example_test()
	Example_testOfJWTSVIDs()
	for _, test := range exampleTests {
		test(t)
	}
}

// A program's test has an agent of its own.
func Example_test() {
	test := func(t *testing.T) {
		agent := spiffetest.New(t, spiffetest.Identity{ID: "spiffe://example.org/my-app", Kind: certtokentest.P256})
		server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
		if err := server.TrustSPIFFE("my-app", "spiffe://example.org/my-app", agent.Bundle()); err != nil {
			t.Fatal(err)
		}
		source, err := spiffe.NewX509Source(spiffe.WithAddress(agent.Address()))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		client, err := certtoken.NewClient(server.Authority(certtoken.WithTLSClientAuth()), "my-app", source,
			certtoken.WithHTTPClient(server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Token(t.Context(), "read"); err != nil {
			t.Fatal(err)
		}
	}
	exampleTests = append(exampleTests, test)
}

// The same server takes the agent's JWT-SVIDs.
func Example_testOfJWTSVIDs() {
	test := func(t *testing.T) {
		agent := spiffetest.New(t, spiffetest.Identity{ID: "spiffe://example.org/my-app", Kind: certtokentest.P256})
		server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
		if err := server.TrustSPIFFE("my-app", "spiffe://example.org/my-app", agent.Bundle()); err != nil {
			t.Fatal(err)
		}
		source, err := spiffe.NewJWTSource(spiffe.WithAddress(agent.Address()), spiffe.WithJWTSPIFFE())
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		client, err := certtoken.NewFederatedClient(server.Authority(), "my-app", source,
			certtoken.WithHTTPClient(server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Token(t.Context(), "read"); err != nil {
			t.Fatal(err)
		}
	}
	exampleTests = append(exampleTests, test)
}
