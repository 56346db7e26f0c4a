package certtokentest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Certificates with every kind of key, in both forms of RFC 8705, as a registered
// certificate, in the x5c of a JWK, and by subject and issuer. Tokens are bound to them.
func TestCertificatesInTLS(t *testing.T) {
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithKeyKind(certtokentest.P384))
	for _, kind := range certtokentest.KeyKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			issued := func(subject string) *certtoken.Certificate {
				return certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSharedKey(),
					certtokentest.WithSubject(subject), certtokentest.SignedBy(ca))
			}
			cert, other := issued("app"), issued("other")
			inKeys, err := jwk.New(cert.Signer.Public())
			require.NoError(t, err)
			inKeys = inKeys.WithCertificate(cert.Leaf, cert.Chain)
			set, err := json.Marshal(jwk.Set{Keys: []jwk.Public{inKeys}})
			require.NoError(t, err)
			for name, register := range map[string]func(srv *certtokentest.Server) error{
				"self_signed_tls_client_auth": func(srv *certtokentest.Server) error {
					srv.Register(clientID, cert.Leaf)
					return nil
				},
				"self_signed_tls_client_auth by JWK": func(srv *certtokentest.Server) error {
					return srv.RegisterJWKS(clientID, set)
				},
				"self_signed_tls_client_auth by jwks_uri": func(srv *certtokentest.Server) error {
					srv.Handle("app.example/jwks", &published{set: set})
					return srv.RegisterJWKSURI(clientID, "https://app.example/jwks", srv.Client())
				},
				"tls_client_auth": func(srv *certtokentest.Server) error {
					srv.TrustSubject(clientID, "app", ca.Leaf)
					return nil
				},
			} {
				t.Run(name, func(t *testing.T) {
					srv := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
					require.NoError(t, register(srv))
					mtls := newFixture(t)
					mtls.srv, mtls.cert = srv, cert
					client := mtls.client(srv.Authority(certtoken.WithTLSClientAuth()))
					token, err := client.Token(t.Context(), "https://api.example")
					require.NoError(t, err)
					assert.True(t, cert.Leaf.Equal(srv.LastRequest().Certificate))
					_, claims := claimsOf(t, token.AccessToken())
					assert.Contains(t, claims, "cnf")

					srv.Handle("api.example/", srv.Resource("https://api.example", nil))
					for status, by := range map[int]*certtoken.Certificate{200: cert, 401: other} {
						assert.Equal(t, status, callWith(t, srv, by, token.AccessToken()))
					}
					resp := postWith(t, srv, other)
					assert.Equal(t, 401, resp.StatusCode, "another certificate, of the same issuer")
				})
			}
		})
	}
}

// with is a client that presents a certificate.
func with(srv *certtokentest.Server, cert *certtoken.Certificate) (*http.Client, func()) {
	transport := srv.Transport().(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{
		{Certificate: [][]byte{cert.Leaf.Raw}, PrivateKey: cert.Signer, Leaf: cert.Leaf},
	}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections
}

func callWith(t *testing.T, srv *certtokentest.Server, cert *certtoken.Certificate, token string) int {
	t.Helper()
	client, done := with(srv, cert)
	defer done()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func postWith(t *testing.T, srv *certtokentest.Server, cert *certtoken.Certificate) *http.Response {
	t.Helper()
	client, done := with(srv, cert)
	defer done()
	resp, err := client.PostForm(srv.TokenURL(), url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "token_type": {"mtls_pop"},
		"scope": {graphScope},
	})
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp
}

// Entra ID's form of it takes RSA, as everything there.
func TestEntraTakesRSAInTLS(t *testing.T) {
	srv := certtokentest.NewServer(t)
	for kind, status := range map[certtokentest.KeyKind]int{
		certtokentest.RSA: 200, certtokentest.P256: 401, certtokentest.Ed25519: 401,
	} {
		cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSharedKey())
		srv.Replace(clientID, cert.Leaf)
		assert.Equal(t, status, postWith(t, srv, cert).StatusCode, kind)
		if status != 200 {
			assert.Contains(t, srv.LastRequest().Description, "a kind that is not supported")
		}
	}
}

// Assertions of every kind of certificate.
func TestAssertionsOfEveryKind(t *testing.T) {
	root := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithKeyKind(certtokentest.Ed25519))
	for _, kind := range certtokentest.KeyKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			f := newFixture(t, certtokentest.WithIssuer(""))
			f.cert = certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSubject("app"),
				certtokentest.SignedBy(root))
			f.srv.Replace(clientID, f.cert.Leaf)
			_, err := f.client(f.srv.Authority()).Token(t.Context(), "read")
			require.NoError(t, err)
			assert.True(t, f.cert.Leaf.Equal(f.srv.LastRequest().Certificate))

			f.srv.Replace(clientID)
			f.srv.TrustSubject(clientID, "app", root.Leaf)
			_, err = f.client(f.srv.Authority(certtoken.WithX5C())).Token(t.Context(), "read")
			require.NoError(t, err, "by subject and issuer")

			bare, err := certtoken.NewKey(f.cert.Signer, "")
			require.NoError(t, err)
			f.srv.Unregister(clientID)
			require.NoError(t, f.srv.RegisterJWKS(clientID, jwkSet(t, bare.Signer.Public(), "")))
			f.cert = bare
			_, err = f.client(f.srv.Authority()).Token(t.Context(), "read")
			require.NoError(t, err, "bare")
			assert.Nil(t, f.srv.LastRequest().Certificate)
		})
	}
}

func TestKeyKinds(t *testing.T) {
	for kind, name := range map[certtokentest.KeyKind]string{
		certtokentest.RSA: "RSA", certtokentest.P256: "P-256", certtokentest.P384: "P-384", certtokentest.P521: "P-521",
		certtokentest.Ed25519: "Ed25519", 7: "KeyKind(7)",
	} {
		assert.Equal(t, name, kind.String())
	}
	_, err := certtokentest.MakeCertificate(certtokentest.WithKeyKind(7))
	assert.ErrorContains(t, err, "certtokentest: unknown kind of key KeyKind(7)")
	_, err = certtokentest.MakeCertificate(certtokentest.WithKeyKind(7), certtokentest.WithSharedKey())
	assert.ErrorContains(t, err, "unknown kind of key")
	for _, kind := range certtokentest.KeyKinds() {
		a := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSharedKey())
		b := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind), certtokentest.WithSharedKey())
		own := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
		assert.Equal(t, a.Leaf.PublicKey, b.Leaf.PublicKey)
		assert.NotEqual(t, a.Leaf.PublicKey, own.Leaf.PublicKey)
		canEncrypt := own.Leaf.KeyUsage&x509.KeyUsageKeyEncipherment != 0
		assert.Equal(t, kind == certtokentest.RSA, canEncrypt, kind)
		assert.True(t, strings.HasPrefix(own.String(), "certtoken.Certificate("))
	}
}
