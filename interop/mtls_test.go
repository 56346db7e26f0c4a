package interop

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// TestCertificateBoundTokens is RFC 8705 against oidc-provider: each way to prove
// the client, found by discovery, and a rotation.
func TestCertificateBoundTokens(t *testing.T) {
	if err := lacksNode(); err != nil {
		missing(t, err)
		t.Skipf("oidc-provider can't be asked: %v", err)
	}
	require.NoError(t, nodeServers())
	ca, err := certtokentest.MakeCertificate(certtokentest.AsCA(), certtokentest.WithSubject("interop CA"))
	require.NoError(t, err)
	issue := func(subject string, opts ...certtokentest.CertOption) *certtoken.Certificate {
		c, err := certtokentest.MakeCertificate(
			append(opts, certtokentest.WithSubject(subject), certtokentest.SignedBy(ca))...)
		require.NoError(t, err)
		return c
	}
	tlsCert := newTLSCertificate(t)
	server := startNode(t)
	var ready struct {
		Issuer   string `json:"issuer"`
		TokenURL string `json:"tokenURL"`
	}
	server.ask(t, map[string]string{
		"profile": "mtls", "key": tlsCert.keyPEM, "cert": tlsCert.certPEM,
		"ca": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw})),
	}, &ready)
	hc := tlsCert.client(t)

	cert, noPSS := issue("service"), issue("old hardware")
	withoutPSS, err := certtoken.NewCertificate(pkcs1Only{noPSS.Signer}, noPSS.Leaf, noPSS.Chain)
	require.NoError(t, err)
	selfSigned := newCertificate(t, "self-signed")
	withX5C := func(c *certtoken.Certificate) map[string]any {
		k := keyOf(c).jwk()
		k["x5c"] = []string{base64.StdEncoding.EncodeToString(c.Leaf.Raw)}
		return map[string]any{"keys": []any{k}}
	}
	cases := []struct {
		name     string
		cert     *certtoken.Certificate
		register map[string]any
		opts     []certtoken.AuthorityOption
		refused  bool
	}{
		{"tls_client_auth", cert, map[string]any{"method": "tls_client_auth", "subject": "CN=service"},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()}, false},
		{"tls_client_auth, another subject", cert, map[string]any{"method": "tls_client_auth", "subject": "CN=other"},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()}, true},
		{
			"tls_client_auth, an issuer that isn't trusted",
			selfSigned,
			map[string]any{"method": "tls_client_auth", "subject": "CN=self-signed"},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
			true,
		},
		{
			"tls_client_auth, a signer without PSS",
			withoutPSS,
			map[string]any{"method": "tls_client_auth", "subject": "CN=old hardware"},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth(), certtoken.WithoutPSS()},
			false,
		},
		{
			"self_signed_tls_client_auth",
			selfSigned,
			map[string]any{"method": "self_signed_tls_client_auth", "jwks": withX5C(selfSigned)},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
			false,
		},
		{
			"self_signed_tls_client_auth, another key",
			cert,
			map[string]any{"method": "self_signed_tls_client_auth", "jwks": withX5C(selfSigned)},
			[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
			true,
		},
		{"private_key_jwt, bound", cert, map[string]any{"jwks": registration{keys: []key{keyOf(cert)}}.jwks()},
			[]certtoken.AuthorityOption{certtoken.WithCertificateBoundTokens()}, false},
		{
			"private_key_jwt, bound, without PSS",
			withoutPSS,
			map[string]any{"jwks": registration{keys: []key{keyOf(noPSS)}}.jwks()},
			[]certtoken.AuthorityOption{
				certtoken.WithCertificateBoundTokens(),
				certtoken.WithAlgorithm(certtoken.PS256),
				certtoken.WithoutPSS(),
			},
			false,
		},
		{
			"private_key_jwt, not presented",
			cert,
			map[string]any{"jwks": registration{keys: []key{keyOf(cert)}}.jwks()},
			nil,
			true,
		},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id := fmt.Sprint("mtls-", i)
			c.register["id"] = id
			var done struct{ Registered string }
			server.ask(t, c.register, &done)
			require.Equal(t, id, done.Registered)
			authority, err := discover(t.Context(), ready.Issuer,
				append(c.opts, certtoken.WithDiscoveryClient(hc))...)
			require.NoError(t, err)
			client, err := certtoken.NewClient(authority, id, c.cert, certtoken.WithHTTPClient(hc), patient)
			require.NoError(t, err)
			defer client.Close()
			tok, err := client.Token(t.Context(), scope)
			if c.refused {
				var te *certtoken.TokenError
				require.ErrorAs(t, err, &te)
				t.Logf("%s: %s", te.Code, te.Description)
				return
			}
			require.NoError(t, err)
			require.Equal(t, thumbprintS256(c.cert.Leaf), boundTo(t, tok))
		})
	}

	t.Run("rotation", func(t *testing.T) {
		var done struct{ Registered string }
		server.ask(t, map[string]any{"id": "rotates", "method": "tls_client_auth", "subject": "CN=service"}, &done)
		renewed := issue("service", certtokentest.WithKey(cert.Signer)) // the same key, another certificate
		var current atomic.Pointer[certtoken.Certificate]
		current.Store(cert)
		source := sourceOf(&current)
		client, err := certtoken.NewClient(
			certtoken.Issuer(ready.Issuer, ready.TokenURL, certtoken.WithTLSClientAuth()),
			"rotates",
			source,
			certtoken.WithHTTPClient(hc), patient,
		)
		require.NoError(t, err)
		defer client.Close()
		first, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		require.Equal(t, thumbprintS256(cert.Leaf), boundTo(t, first))
		current.Store(renewed)
		second, err := client.Token(t.Context(), otherScope)
		require.NoError(t, err)
		require.Equal(t, thumbprintS256(renewed.Leaf), boundTo(t, second))
		third, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		require.Equal(t, thumbprintS256(renewed.Leaf), boundTo(t, third), "the old token goes with the old certificate")
	})
}

func sourceOf(current *atomic.Pointer[certtoken.Certificate]) certtoken.CertSource {
	return certtoken.CertSourceFunc(
		func(context.Context) (*certtoken.Certificate, error) { return current.Load(), nil },
	)
}

// pkcs1Only is hardware that can't do PSS.
type pkcs1Only struct{ crypto.Signer }

func (s pkcs1Only) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, isPSS := opts.(*rsa.PSSOptions); isPSS {
		return nil, errors.New("the token can't do PSS")
	}
	return s.Signer.Sign(random, digest, opts)
}
