package certtoken_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// A bank knows its clients by a certificate in TLS and by another key that signs.
func Example_transportCertificate() {
	var transportCert tls.Certificate // by tls.LoadX509KeyPair, for one

	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{Certificates: []tls.Certificate{transportCert}}
	client, err := certtoken.NewClient(
		certtoken.Issuer("https://bank.example", "https://mtls.bank.example/token",
			certtoken.WithFAPI(), certtoken.WithKeyID("kid in the directory")),
		"client id", certtoken.CertFile("signing.pem"),
		certtoken.WithHTTPClient(&http.Client{Transport: base}))
	if err != nil {
		log.Fatal(err)
	}
	api := &http.Client{Transport: &certtoken.Transport{
		Client:  client,
		Base:    base, // the same certificate, to which the bank binds the token
		Request: certtoken.Request{Scopes: []string{"accounts"}},
		Hosts:   []string{"mtls.bank.example"},
	}}
	_ = api
}

// Token endpoint and API see the certificate of the HTTP client, and the assertion is signed by
// the client's own. An option that would present the client's own says so at once.
func TestAnotherCertificateInTLS(t *testing.T) {
	signing, shown := certtokentest.NewCertificate(t), certtokentest.NewCertificate(t)
	as := certtokentest.New(certtokentest.WithIssuer("https://bank.example"))
	as.Register(appID, signing.Leaf)
	seen := map[string]*x509.Certificate{}
	bank := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.URL.Path] = r.TLS.PeerCertificates[0]
		if r.URL.Path == "/accounts" {
			assert.Contains(t, r.Header.Get("Authorization"), "Bearer ")
			return
		}
		r.URL.Scheme, r.URL.Host, r.RequestURI, r.Host = "https", "bank.example", "", "bank.example"
		resp, err := as.Transport().RoundTrip(r)
		if !assert.NoError(t, err) {
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, err = io.Copy(w, resp.Body)
		assert.NoError(t, err)
	}))
	bank.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	bank.StartTLS()
	defer bank.Close()

	base := bank.Client().Transport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	base.TLSClientConfig.Certificates = []tls.Certificate{
		{Certificate: [][]byte{shown.Leaf.Raw}, PrivateKey: shown.Signer},
	}
	authority := func(opts ...certtoken.AuthorityOption) certtoken.Authority {
		return certtoken.Issuer("https://bank.example", bank.URL+"/token", opts...)
	}
	hc := certtoken.WithHTTPClient(&http.Client{Transport: base})
	client, err := certtoken.NewClient(authority(), appID, signing, hc)
	require.NoError(t, err)
	defer client.Close()
	api := &http.Client{Transport: &certtoken.Transport{
		Client: client, Base: base, Request: certtoken.Request{Scopes: []string{"read"}},
		Hosts: []string{bank.Listener.Addr().String()},
	}}
	resp, err := api.Get(bank.URL + "/accounts")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	for _, path := range []string{"/token", "/accounts"} {
		require.NotNil(t, seen[path], path)
		assert.True(t, seen[path].Equal(shown.Leaf), path)
	}

	for _, opt := range []certtoken.AuthorityOption{
		certtoken.WithCertificateBoundTokens(), certtoken.WithTLSClientAuth(),
	} {
		_, err = certtoken.NewClient(authority(opt), appID, signing, hc)
		assert.ErrorContains(t, err, "another certificate than the one that signs")
	}
}
