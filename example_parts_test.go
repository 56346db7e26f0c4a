package certtoken_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// A secret store hands out the file as base64. The same call reads PEM, DER and PFX.
func ExampleParseCertificate() {
	secret := fromSecretStore()
	cert, err := certtoken.ParseCertificate([]byte(secret), certtoken.WithPassword("s3cret"))
	switch {
	case errors.Is(err, certtoken.ErrWrongPassword):
		log.Fatal("the password in the settings is an old one: ", err)
	case err != nil:
		log.Fatal(err) // says what the file is and what to do
	}
	fmt.Println(cert.Leaf.Subject, cert.FileFormat())
	// Output: CN=my-app PFX
}

// fromSecretStore stands for a call of your secret store.
func fromSecretStore() string {
	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	pfx, err := selfsigned.EncodePFX(cert, "s3cret", selfsigned.PFXModern)
	if err != nil {
		log.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pfx)
}

// A key that can't be read, only be asked to sign: the signer may be an HSM's, a vault's
// or an agent's.
func ExampleNewCertificate() {
	signer, leaf := fromHSM()
	cert, err := certtoken.NewCertificate(signer, leaf, nil)
	if errors.Is(err, certtoken.ErrKeyMismatch) {
		log.Fatal("the HSM's slot has another certificate's key: ", err)
	}
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id", cert)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(cert.Leaf.Subject)
	// Output: CN=my-app
}

// fromHSM stands for a signer of your HSM and the certificate that is kept beside it.
func fromHSM() (crypto.Signer, *x509.Certificate) {
	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	return cert.Signer, cert.Leaf
}

// A service whose first request may not wait either: the token is there from the start,
// and is renewed also when nobody asks for it.
func ExampleWithKeepWarm() {
	cert := certtoken.CertFile("private.pem")
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id", cert,
		certtoken.WithKeepWarm("https://graph.microsoft.com/.default"),
		certtoken.WithKeepWarm("https://vault.azure.net/.default")) // once for each token
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() // ends the goroutines
}

// A function that is frozen between two requests: work in the background would stand
// still, and so a caller renews the token in its own time.
func ExampleWithForegroundRenewal() {
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id",
		certtoken.CertFile("private.pem"), certtoken.WithForegroundRenewal())
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		token, err := client.Token(r.Context(), "https://graph.microsoft.com/.default")
		if err != nil {
			http.Error(w, "no token", http.StatusServiceUnavailable)
			return
		}
		_ = token // call the API
	})
}

// A request that is made by hand, without a [certtoken.Transport].
func ExampleToken_SetAuthHeader() {
	token := tokenFromClient()
	const users = "https://graph.microsoft.com/v1.0/users"
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, users, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := token.SetAuthHeader(req); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(req.Header.Get("Authorization")) > len("Bearer "))

	req.URL.Scheme = "http"
	fmt.Println(token.SetAuthHeader(req))
	// Output:
	// true
	// certtoken: the token is sent over https only, not to http://graph.microsoft.com
}

// tokenFromClient stands for a call of Client.Token.
func tokenFromClient() *certtoken.Token {
	server := certtokentest.New()
	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	server.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(server.Authority(), "client-id", cert,
		certtoken.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	token, err := client.Token(context.Background(), "https://graph.microsoft.com/.default")
	if err != nil {
		log.Fatal(err)
	}
	return token
}

// All that the server said about a refusal, to give to its support.
func ExampleTokenError_Detail() {
	report := func(err error) {
		var refused *certtoken.TokenError
		if errors.As(err, &refused) {
			log.Println(refused)          // one line, with what to do
			log.Println(refused.Detail()) // description, certificate, trace and correlation id
		}
	}
	_ = report
}
