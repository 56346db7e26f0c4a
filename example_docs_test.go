package certtoken_test

// The Go blocks of docs/, where example_test.go hasn't got them. What can run
// here is a test.

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

const graphScope = "https://graph.microsoft.com/.default"

// Servers that follow the older custom: the token endpoint as audience, JWT as
// type, and a key id by which they look keys up.
func ExampleWithAudience() {
	authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token",
		certtoken.WithAudience("https://issuer.example/oauth2/token"),
		certtoken.WithAssertionType("JWT"),
		certtoken.WithKeyID("2026-11"))
	_ = authority
}

// A server that doesn't say how long its tokens live.
func ExampleWithAssumedLifetime() {
	authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/oauth2/token",
		certtoken.WithAssumedLifetime(2*time.Hour))
	_ = authority
}

// The second file of a pair, and one certificate of several.
func ExampleWithKeyFile() {
	pair := certtoken.CertFile("/etc/my-app/tls.crt", certtoken.WithKeyFile("/etc/my-app/tls.key"))
	one := certtoken.CertFile("all.pfx", certtoken.WithPassword(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")),
		certtoken.WithThumbprint("3ddea8980d4a83122833347977e6ade83dfcbad5"))
	_, _ = pair, one
}

// A readiness probe for the certificate.
func ExampleFileSource_Health() {
	source := certtoken.CertFile("/etc/my-app/tls.crt", certtoken.WithKeyFile("/etc/my-app/tls.key"))

	http.HandleFunc("GET /healthz/certificate", func(w http.ResponseWriter, _ *http.Request) {
		if err := source.Health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable) // the last good pair still signs
		}
	})
}

// One client for all tenants.
func ExampleWithTenants() {
	var cert *certtoken.Certificate
	var customer string // from a request
	ctx := context.Background()

	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		cert,
		certtoken.WithTenants("fabrikam.com", "0a1b2c3d-4e5f-6789-abcd-ef0123456789"), // or "*"
		certtoken.WithCacheLimit(50_000),
	)
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Acquire(ctx, certtoken.Request{
		Tenant: customer,
		Scopes: []string{"https://graph.microsoft.com/.default"},
	})
	_, _ = token, err
}

// While the secret of a shared store is being changed.
func ExampleWithStore_secrets() {
	var store certtoken.Store
	var current, next []byte

	first := certtoken.WithStore(store, current, next)  // 1. everybody opens both, and seals as before
	second := certtoken.WithStore(store, next, current) // 2. everybody seals with the new one
	third := certtoken.WithStore(store, next)           // 3. a day later
	_, _, _ = first, second, third
}

// A job of half an hour gets a token that lasts.
func ExampleRequest() {
	var client *certtoken.Client // from NewClient
	ctx := context.Background()

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes:      []string{"https://storage.azure.com/.default"},
		MinValidity: 30 * time.Minute,
	})
	_, _ = token, err
}

// A token for two resources (RFC 8707), with the details of what it is to allow (RFC 9396).
func ExampleRequest_parameters() {
	var client *certtoken.Client // from NewClient
	ctx := context.Background()

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: []string{"payments"},
		Parameters: url.Values{
			"resource":              {"https://pay.example", "https://bank.example"},
			"authorization_details": {`[{"type":"payment","actions":["read"]}]`},
		},
	})
	_, _ = token, err
}

// A program that sets the header itself asks for another token when its API has refused
// the first, and repeats the call once.
func ExampleRequest_refused() {
	server := certtokentest.New()
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		log.Fatal(err)
	}
	server.Register("app", cert.Leaf)
	client, err := certtoken.NewClient(server.Authority(), "app", cert, certtoken.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	calls := 0
	call := func(*certtoken.Token) int { // the API refuses the first token
		calls++
		return map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[calls == 1]
	}
	if err := callOrders(context.Background(), client, call); err != nil {
		log.Fatal(err)
	}
	fmt.Println(calls, "calls,", server.Count(), "tokens")
	// Output: 2 calls, 2 tokens
}

func callOrders(ctx context.Context, client *certtoken.Client, call func(*certtoken.Token) int) error {
	request := certtoken.Request{Scopes: []string{"api://orders/.default"}}
	token, err := client.Acquire(ctx, request)
	if err != nil {
		return err
	}
	if call(token) != http.StatusUnauthorized {
		return nil
	}
	request.Refused = token
	if token, err = client.Acquire(ctx, request); err != nil {
		return err // there is no other token
	}
	call(token)
	return nil
}

// A source of tokens for a user, for a library that takes x/oauth2's.
func ExampleClient_TokenSourceFor() {
	var client *certtoken.Client // from NewClient
	userToken := "the token that the user's request brought"

	source, err := client.TokenSourceFor(certtoken.Request{
		Scopes: []string{"https://graph.microsoft.com/.default"},
		Grant:  certtoken.OnBehalfOf(userToken),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = &http.Client{Transport: &oauth2.Transport{Source: source}}
}

// The variables of the environment, and what no variable is for.
func ExampleWithAuthorityOptions() {
	client, err := certtoken.ClientFromEnvironment(
		certtoken.WithAuthorityOptions(certtoken.WithX5C(), certtoken.WithParameter("slice", "testslice")))
	_, _ = client, err
}

// The transport answers claims challenges, so the client may say so.
func ExampleWithCapabilities() {
	var cert *certtoken.Certificate

	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		cert,
		certtoken.WithCapabilities("cp1"),
	)
	_, _ = client, err
}

// A user who must prove more is sent to sign in, with the claims of the error.
func ExampleTokenError_claims() {
	var client *certtoken.Client // from NewClient
	var userToken string
	var w http.ResponseWriter
	ctx := context.Background()

	token, err := client.Acquire(ctx, certtoken.Request{
		Scopes: []string{"https://graph.microsoft.com/User.Read"},
		Grant:  certtoken.OnBehalfOf(userToken),
	})
	var refused *certtoken.TokenError
	if errors.As(err, &refused) && refused.Code == "interaction_required" {
		challenge := fmt.Sprintf(`Bearer error="insufficient_claims", claims="%s"`,
			base64.StdEncoding.EncodeToString([]byte(refused.Claims)))
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = token
}

// Hooks count what matters to a service.
func ExampleWithHooks() {
	var cert *certtoken.Certificate
	var gauge interface{ Set(float64) } // of the metrics that the program has

	hooks := certtoken.Hooks{
		RenewalFailed: func(e certtoken.Event) {
			slog.Warn("token not renewed", "scopes", e.Scopes, "valid_until", e.ExpiresAt, "error", e.Err)
		},
		CertificateLoaded: func(e certtoken.Event) {
			gauge.Set(time.Until(e.NotAfter).Hours() / 24)
		},
	}
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"), "client-id", cert,
		certtoken.WithHooks(hooks),
		certtoken.WithLogger(slog.Default()))
	_, _ = client, err
}

// Tokens that are bound to the certificate, beside an assertion.
func ExampleWithCertificateBoundTokens() {
	authority := certtoken.Issuer("https://issuer.example", "https://mtls.issuer.example/oauth2/token",
		certtoken.WithCertificateBoundTokens())
	_ = authority
}

// Tokens that are bound to a key of the client: a proof goes with each request.
func ExampleWithDPoP() {
	ctx := context.Background()
	cert := certtoken.CertFile("private.pfx")

	authority, err := certtoken.Discover(ctx, "https://issuer.example", certtoken.WithDPoP())
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(authority, "my-service", cert)
	if err != nil {
		log.Fatal(err)
	}
	api := &http.Client{Transport: &certtoken.Transport{ // signs a proof for each request
		Client:  client,
		Request: certtoken.Request{Scopes: []string{"read"}},
		Hosts:   []string{"api.example.com"},
	}}
	_ = api
}

// A DPoP token over an HTTP client of one's own.
func ExampleClient_Proof() {
	var client *certtoken.Client // of an Authority with WithDPoP
	var token *certtoken.Token
	var req *http.Request

	proof, err := client.Proof(token, http.MethodGet, "https://api.example.com/things")
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "DPoP "+token.AccessToken())
	req.Header.Set("DPoP", proof)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if client.NoteNonce(resp) {
		// A 401 that gave a nonce: make another proof and send the request once more.
	}
}

// GitLab writes the identity of a job into a variable that its id_tokens name.
func ExampleAssertionSourceFunc() {
	client, err := certtoken.NewFederatedClient(
		certtoken.Entra("contoso.onmicrosoft.com"),
		"client-id",
		certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
			return os.Getenv("ENTRA_ID_TOKEN"), nil
		}),
	)
	_, _ = client, err
}

// A day passes without waiting: the token is renewed, and no caller notices an outage.
func TestDocumentedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := certtokentest.New()
		cert := certtokentest.NewCertificate(t)
		srv.Register("client-id", cert.Leaf)
		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", cert,
			certtoken.WithHTTPClient(srv.Client()))
		require.NoError(t, err)
		defer client.Close()
		first, err := client.Token(t.Context(), graphScope)
		require.NoError(t, err)

		srv.FailAlways(certtokentest.Fault{Status: http.StatusServiceUnavailable})
		time.Sleep(time.Until(first.RenewAt().Add(time.Minute))) // costs nothing
		during, err := client.Token(t.Context(), graphScope)
		require.NoError(t, err)
		require.Same(t, first, during) // the endpoint is down, and no caller waits

		srv.ClearFaults()
		time.Sleep(24 * time.Hour)
		_, err = client.Token(t.Context(), graphScope)
		require.NoError(t, err)
	})
}

// What the service does when Entra ID doesn't know its certificate.
func TestDocumentedRefusal(t *testing.T) {
	srv := certtokentest.New()
	cert := certtokentest.NewCertificate(t)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", cert,
		certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	defer client.Close()

	srv.Fail(certtokentest.Fault{Code: 700027})
	_, err = client.Token(t.Context(), graphScope)
	var refused *certtoken.TokenError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.AADSTS, 700027)
	require.Contains(t, refused.Advice(), "upload")
}

// A resource that challenges: the transport gets a token with the claims.
func TestDocumentedChallenge(t *testing.T) {
	srv := certtokentest.New()
	cert := certtokentest.NewCertificate(t)
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", cert,
		certtoken.WithHTTPClient(srv.Client()), certtoken.WithCapabilities("cp1"))
	require.NoError(t, err)
	defer client.Close()

	api := srv.Resource("https://graph.microsoft.com", nil)
	api.Challenge(`{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}`)
	srv.Handle("graph.microsoft.com/", api)
	hc := &http.Client{Transport: client.Transport(srv.Transport(), "https://graph.microsoft.com/.default")}
	resp, err := hc.Get("https://graph.microsoft.com/v1.0/users")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, 2, srv.Count()) // a token, and the one that the challenge asked for
}

func Example_withoutRollback() {
	source := certtoken.CertFile("/etc/my-app/private.pfx", certtoken.WithoutRollback())
	_ = source
}

// The order of a rotation, step by step, as docs/rotation.md has it, and the
// mistake that it forgives: a certificate deployed before it was registered.
func TestDocumentedRotation(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	current, next := filepath.Join(dir, "current.pem"), filepath.Join(dir, "next.pem")
	write := func(path string, notBefore time.Time) *certtoken.Certificate {
		cert := certtokentest.NewCertificate(t, certtokentest.WithValidity(notBefore, now.AddDate(1, 0, 0)))
		pem, err := selfsigned.EncodePEM(cert)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, pem, 0o600))
		return cert
	}
	srv := certtokentest.New()
	older := write(current, now.AddDate(0, -11, 0))
	srv.Register("client-id", older.Leaf)

	var refused int
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id",
		certtoken.NewestValid(certtoken.CertFile(current), certtoken.CertFile(next)),
		certtoken.WithHTTPClient(srv.Client()),
		certtoken.WithHooks(certtoken.Hooks{CertificateRefused: func(certtoken.Event) { refused++ }}))
	require.NoError(t, err)
	defer client.Close()
	request := func() {
		t.Helper()
		_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graphScope}, Fresh: true})
		require.NoError(t, err)
	}
	request()
	assert.Zero(t, refused, "a file that isn't there yet does no harm")

	newer := write(next, now.Add(-time.Hour))
	request()
	assert.Equal(t, 1, refused, "the new one was tried, and the old one helped out")
	request()
	assert.Equal(t, 1, refused, "it stands back for a while")

	srv.Register("client-id", newer.Leaf)
	require.NoError(t, os.Rename(next, current))
	request()
	srv.Unregister("client-id", older.Leaf)
	request()
	assert.Equal(t, 1, refused)
}

// The same job as the first lines of the PowerShell script.
func Example_selfSigned() {
	password := os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")

	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
	if err != nil {
		log.Fatal(err)
	}
	files, err := selfsigned.WriteFiles(".", cert, password, selfsigned.WriteOptions{})
	_, _ = files, err
}

// docs/performance.md: a transport of one's own that finds dead connections.
func Example_deadConnections() {
	var authority certtoken.Authority
	var cert *certtoken.Certificate

	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.HTTP2 = &http.HTTP2Config{
		SendPingTimeout: 5 * time.Second, // without a frame, after which a ping is sent
		PingTimeout:     4 * time.Second, // without its answer, after which the connection is closed
	}
	transport.MaxIdleConnsPerHost = 32 // net/http keeps 2
	client, err := certtoken.NewClient(authority, "client-id", cert,
		certtoken.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// docs/bound-tokens.md: a resource that asks for the certificate after the handshake.
func Example_lateCertificates() {
	var client *certtoken.Client

	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{
		MaxVersion:    tls.VersionTLS12,            // TLS 1.3 has no renegotiation
		Renegotiation: tls.RenegotiateOnceAsClient, // Go refuses it by default
	}
	base.Protocols = new(http.Protocols)
	base.Protocols.SetHTTP1(true) // HTTP/2 forbids renegotiation
	api := &http.Client{Transport: &certtoken.Transport{
		Client:  client,
		Base:    base,
		Request: certtoken.Request{Scopes: []string{"read"}},
		Hosts:   []string{"api.example.com"},
	}}
	_ = api
}
