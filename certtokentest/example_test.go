package certtokentest_test

import (
	"context"
	"fmt"
	"io"
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
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status, string(body))
	}
	fmt.Println("token requests:", srv.Count())
	// Output:
	// 200 OK {"audience":"https://graph.microsoft.com","client_id":"my-client-id","path":"/v1.0/users","scope":"https://graph.microsoft.com/.default"}
	// 200 OK {"audience":"https://graph.microsoft.com","client_id":"my-client-id","path":"/v1.0/users","scope":"https://graph.microsoft.com/.default"}
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
