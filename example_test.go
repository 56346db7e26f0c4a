package certtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func Example() {
	ctx, password := context.Background(), os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")

	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", // client id
		certtoken.CertFile("private.pfx", certtoken.WithPassword(password)),
	)
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type(), token.ExpiresAt()) // token.AccessToken() is the secret
}

// The transport puts the token on each request to the hosts that are named, renews it
// in time, and answers claims challenges.
func ExampleTransport() {
	var client *certtoken.Client // from NewClient

	graph := &http.Client{Transport: &certtoken.Transport{
		Client:  client,
		Request: certtoken.Request{Scopes: []string{"https://graph.microsoft.com/.default"}},
		Hosts:   []string{"graph.microsoft.com"},
	}}
	resp, err := graph.Get("https://graph.microsoft.com/v1.0/users")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
}

// The short form, for programs that choose every host themselves: it sends the token to
// whichever https host a request names.
func ExampleClient_Transport() {
	var client *certtoken.Client // from NewClient

	graph := &http.Client{Transport: client.Transport(nil, "https://graph.microsoft.com/.default")}
	resp, err := graph.Get("https://graph.microsoft.com/v1.0/users")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
}

// For libraries that take an oauth2.TokenSource. Don't use oauth2.NewClient: it
// puts a cache of its own before the source, and every renewal then happens in
// a caller's time.
func ExampleClient_TokenSource() {
	var client *certtoken.Client // from NewClient

	ts := client.TokenSource("https://graph.microsoft.com/.default")
	hc := &http.Client{Transport: &oauth2.Transport{Source: ts}}
	_ = hc
}

// Any server that takes client assertions by RFC 7523.
func ExampleIssuer() {
	var cert *certtoken.Certificate

	client, err := certtoken.NewClient(
		certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token"),
		"my-service",
		cert,
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// A certificate with an EC key: its curve decides the algorithm, here ES256.
func ExampleIssuer_ec() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := certtoken.NewCertificate(key, leaf, nil) // key may be in an HSM or a vault
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(
		certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token"),
		"my-service",
		cert,
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// A key that the server handed out as a JWK. The server knows the client by its kid.
func ExampleParseKey() {
	jwk := `{"kty":"OKP","crv":"Ed25519","kid":"2026-11",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
		"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

	key, err := certtoken.ParseKey([]byte(jwk))
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(
		certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token"),
		"my-service",
		key,
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(key.KeyID)
	// Output: 2026-11
}

// A key in a file, which is followed when it is replaced.
func ExampleKeyFile() {
	authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token")

	client, err := certtoken.NewClient(authority, "my-service", certtoken.KeyFile("/etc/my-service/key.json"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// A key in an HSM that was registered without a certificate.
func ExampleNewKey() {
	var hsm crypto.Signer

	source := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		return certtoken.NewKey(hsm, "2026-11")
	})
	_ = source
}

// An API that was called by a user calls another one as the same user.
func ExampleOnBehalfOf() {
	var client *certtoken.Client // from NewClient
	var userToken string         // of the request's Authorization header
	ctx := context.Background()

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: []string{"https://graph.microsoft.com/User.Read"},
		Grant:  certtoken.OnBehalfOf(userToken), // which you have checked
	})
	_, _ = token, err
}

// A web app redeems the code of a user's sign-in, and later the refresh token
// that came with it. The next refresh token is the one to keep.
func ExampleAuthorizationCode() {
	var client *certtoken.Client // from NewClient
	var code, verifier string    // of the sign-in
	ctx := context.Background()

	scopes := []string{"https://graph.microsoft.com/User.Read", "offline_access"}
	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: scopes,
		Grant:  certtoken.AuthorizationCode(code, "https://app.example/callback", verifier),
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err = client.Acquire(ctx, certtoken.Request{
		Scopes: scopes,
		Grant:  certtoken.RefreshToken(token.RefreshToken()),
	})
	_, _ = token, err
}

// A pod in Kubernetes proves itself by the token that is projected into it.
func ExampleNewFederatedClient() {
	client, err := certtoken.NewFederatedClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		certtoken.AssertionFile("/var/run/secrets/azure/tokens/azure-identity-token"),
	)
	_, _ = client, err
}

// An app in another tenant trusts this one: its token is the other's assertion.
func ExampleClient_AssertionSource() {
	var home *certtoken.Client // from NewClient, with a certificate

	away, err := certtoken.NewFederatedClient(certtoken.Entra("fabrikam.com"), "other-client-id",
		home.AssertionSource())
	_, _ = away, err
}

// Tokens that only the holder of the certificate can use.
func ExampleDiscover() {
	ctx := context.Background()
	var cert *certtoken.Certificate

	authority, err := certtoken.Discover(ctx, "https://issuer.example", certtoken.WithTLSClientAuth())
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(authority, "my-service", cert)
	if err != nil {
		log.Fatal(err)
	}
	api := &http.Client{Transport: &certtoken.Transport{ // presents the certificate
		Client:  client,
		Request: certtoken.Request{Scopes: []string{"read"}},
		Hosts:   []string{"api.example.com"},
	}}
	_ = api
}

// With the variables that Azure's own libraries read.
func ExampleClientFromEnvironment() {
	client, err := certtoken.ClientFromEnvironment()
	if err != nil {
		log.Fatal(err) // everything that is missing, at once
	}
	defer client.Close()
}

// A service tells at start-up what is wrong, and not at its first request.
func ExampleClient_Check() {
	var client *certtoken.Client // from NewClient

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := client.Check(ctx); err != nil {
		log.Fatal(err) // says what to do about it
	}
}

func ExampleTokenError() {
	var client *certtoken.Client // from NewClient
	ctx := context.Background()

	_, err := client.Token(ctx, "https://graph.microsoft.com/.default")
	var refused *certtoken.TokenError
	switch {
	case errors.As(err, &refused):
		log.Printf("%s %v: %s", refused.Code, refused.AADSTS, refused.Advice())
	case errors.Is(err, certtoken.ErrExpired):
		log.Print("renew the certificate")
	}
}

// A source of one's own: whatever holds the certificate and can sign. It is
// asked for each signature, so it keeps what it fetched.
func ExampleCertSourceFunc() {
	var hsm crypto.Signer      // any RSA key: in an HSM, a vault, an agent
	var leaf *x509.Certificate // its certificate

	source := certtoken.CertSourceFunc(func(ctx context.Context) (*certtoken.Certificate, error) {
		return certtoken.NewCertificate(hsm, leaf, nil)
	})
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id", source)
	_, _ = client, err
}

// While a new certificate isn't registered everywhere yet, the old one signs.
func ExampleNewestValid() {
	source := certtoken.NewestValid(
		certtoken.CertFile("certs/current.pfx"),
		certtoken.CertFile("certs/next.pfx"),
	)
	_ = source
}

func ExampleWithLogger() {
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		certtoken.CertFile("tls.crt", certtoken.WithKeyFile("tls.key")),
		certtoken.WithLogger(slog.Default()),
		certtoken.WithKeepWarm("https://graph.microsoft.com/.default"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// Several processes share tokens: one of them asks, all have the answer.
func ExampleWithStore() {
	var secret []byte         // 32 bytes or more, the same in all processes
	var store certtoken.Store // Redis, Memcached, a database …

	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		certtoken.CertFile("private.pem"),
		certtoken.WithStore(store, secret),
	)
	_, _ = client, err
}

// The assertion alone, for a request that another library makes. These are the
// header and claims of the article that this library began with.
func ExampleAssertion() {
	ctx := context.Background()
	var cert *certtoken.Certificate

	jwt, err := certtoken.Assertion{
		ClientID:   "7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f",
		Audience:   "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
		Algorithm:  certtoken.RS512,
		Thumbprint: certtoken.ThumbprintSHA1,
		Lifetime:   30 * time.Second,
	}.Sign(ctx, cert)
	_, _ = jwt, err
}

// The article's own choices; Entra ID needs none of them.
func ExampleEntra() {
	authority := certtoken.Entra("contoso.onmicrosoft.com",
		certtoken.WithAlgorithm(certtoken.RS512),
		certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA1),
		certtoken.WithLifetime(30*time.Second))
	_ = authority
}

// The test of a program that uses certtoken, with a token endpoint that checks
// everything and needs no network.
func ExampleNewClient_test() {
	test := func(t *testing.T) {
		srv := certtokentest.New()
		cert := certtokentest.NewCertificate(t)
		srv.Register("client-id", cert.Leaf)

		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", cert,
			certtoken.WithHTTPClient(srv.Client()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Token(t.Context(), "https://graph.microsoft.com/.default"); err != nil {
			t.Fatal(err)
		}

		srv.Handle("graph.microsoft.com/", srv.Resource("https://graph.microsoft.com", nil))
		hc := &http.Client{Transport: client.Transport(srv.Transport(), "https://graph.microsoft.com/.default")}
		resp, err := hc.Get("https://graph.microsoft.com/v1.0/users")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	_ = test
}
