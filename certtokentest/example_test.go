package certtokentest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// A client and an API without a connection: the server stands for Entra ID, and
// for the API too.
func Example() {
	srv := certtokentest.New()
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		panic(err)
	}
	srv.Register("my-client-id", cert.Leaf)
	srv.Handle("graph.microsoft.com/", srv.Resource("https://graph.microsoft.com", nil))

	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "my-client-id", cert,
		certtoken.WithHTTPClient(srv.Client()))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	hc := &http.Client{Transport: client.Transport(srv.Transport(), "https://graph.microsoft.com/.default")}

	for range 2 {
		resp, err := hc.Get("https://graph.microsoft.com/v1.0/users")
		if err != nil {
			panic(err)
		}
		var who struct {
			ClientID string `json:"client_id"`
			Path     string
		}
		if err := json.NewDecoder(resp.Body).Decode(&who); err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status, who.ClientID, who.Path)
	}
	fmt.Println("token requests:", srv.Count())
	// Output:
	// 200 OK my-client-id /v1.0/users
	// 200 OK my-client-id /v1.0/users
	// token requests: 1
}

// A throttled request, then a good one.
func ExampleServer_Fail() {
	srv := certtokentest.New()
	srv.Fail(certtokentest.Throttle(2*time.Second), certtokentest.Fault{})

	for range 2 {
		resp, err := srv.Client().PostForm(srv.TokenURL(), nil)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	// Output:
	// 429 2
	// 400
}

// A program that is told an address and a CA.
func ExampleStart() {
	srv, err := certtokentest.Start()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		panic(err)
	}
	srv.Register("my-client-id", cert.Leaf)
	client, err := certtoken.NewClient(srv.Authority(), "my-client-id", cert, certtoken.WithHTTPClient(srv.Client()))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	token, err := client.Token(context.Background(), "https://graph.microsoft.com/.default")
	fmt.Println(token.Type(), err)
	// Output: Bearer <nil>
}

// A server that refuses certificates as Keycloak does, for a program that is to say
// what is wrong.
func ExampleLikeKeycloak() {
	srv := certtokentest.New(certtokentest.WithIssuer("https://id.example.com"), certtokentest.LikeKeycloak())
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		panic(err)
	}
	srv.Register("my-client-id") // without its certificate
	client, err := certtoken.NewClient(srv.Authority(), "my-client-id", cert, certtoken.WithHTTPClient(srv.Client()))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	_, err = client.Token(context.Background(), "read")
	var refused *certtoken.TokenError
	fmt.Println(errors.As(err, &refused), refused.StatusCode, refused.Code)
	// Output: true 400 invalid_client
}

// An app that Entra ID doesn't know everywhere yet.
func ExampleServer_FailFor() {
	srv := certtokentest.New()
	srv.FailFor(3*time.Minute, certtokentest.Fault{Code: 700016}, certtokentest.Fault{Body: `{"ok":true}`})

	for range 3 {
		resp, err := srv.Client().PostForm(srv.TokenURL(), nil)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 400
	// 200
	// 400
}

// A client that has a key and no certificate, and is registered by its public half.
func ExampleServer_RegisterJWKS() {
	const public = `{"kty":"EC","crv":"P-256","kid":"mine",` +
		`"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	srv := certtokentest.New(certtokentest.WithIssuer("https://id.example.com"))
	if err := srv.RegisterJWKS("my-client-id", []byte(`{"keys":[`+public+`}]}`)); err != nil {
		panic(err)
	}
	key, err := certtoken.ParseKey([]byte(public + `,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`))
	if err != nil {
		panic(err)
	}
	client, err := certtoken.NewClient(srv.Authority(), "my-client-id", key, certtoken.WithHTTPClient(srv.Client()))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	token, err := client.Token(context.Background(), "read")
	if err != nil {
		panic(err)
	}
	header := srv.LastRequest().AssertionHeader
	fmt.Println(token.Type(), header["alg"], header["kid"])
	// Output: Bearer ES256 mine
}
