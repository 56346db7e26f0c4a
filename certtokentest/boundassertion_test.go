package certtokentest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	popKind  = "urn:ietf:params:oauth:client-assertion-type:jwt-pop"
	mtlsURL  = "https://mtlsauth.microsoft.com/" + certtokentest.DefaultTenant + "/oauth2/v2.0/token"
	secondID = "22222222-0000-4000-8000-000000000002"
)

// send posts a form, over a connection that presents a certificate or none.
func send(t *testing.T, srv *certtokentest.Server, cert *certtoken.Certificate, form url.Values) (int, map[string]any) {
	t.Helper()
	client, done := srv.Client(), func() {}
	if cert != nil {
		client, done = with(srv, cert)
	}
	defer done()
	resp, err := client.PostForm(mtlsURL, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body
}

// An assertion that is bound to a certificate is taken over TLS with it, and as what it is.
func TestBoundAssertions(t *testing.T) {
	srv := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("app"))
	other := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("other"))
	srv.Register(clientID, cert.Leaf, other.Leaf)
	trusted := srv.Federation(clientID)
	trusted.Issuer = strings.Replace(trusted.Issuer, srv.URL(), "https://login.microsoftonline.com", 1)
	srv.Federate(secondID, trusted)
	leg := func(tokenType string, by *certtoken.Certificate) string {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {clientID},
			"scope": {certtokentest.ExchangeAudience + "/.default"},
		}
		if tokenType != "" {
			form.Set("token_type", tokenType)
		} else {
			form.Set("client_assertion_type", kind)
			form.Set("client_assertion", sign(t, by, mtlsURL))
		}
		status, body := send(t, srv, by, form)
		require.Equal(t, http.StatusOK, status, body)
		return body["access_token"].(string)
	}
	bound, plain := leg("mtls_pop", cert), leg("", cert)
	for name, c := range map[string]struct {
		kind, assertion string
		by              *certtoken.Certificate
		status          int
		says            string
	}{
		"right":                 {popKind, bound, cert, 200, ""},
		"another certificate":   {popKind, bound, other, 401, "AADSTS500181"},
		"no certificate":        {popKind, bound, nil, 401, "AADSTS500181"},
		"as a plain assertion":  {kind, bound, cert, 400, "Its type must be"},
		"a plain one as bound":  {popKind, plain, cert, 400, "is not bound to a certificate"},
		"a plain one":           {kind, plain, nil, 200, ""},
		"a plain one over mTLS": {kind, plain, cert, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tokenType := range []string{"", "mtls_pop"} {
				form := url.Values{
					"grant_type": {"client_credentials"}, "client_id": {secondID}, "scope": {graphScope},
					"client_assertion_type": {c.kind}, "client_assertion": {c.assertion},
				}
				if tokenType != "" {
					form.Set("token_type", tokenType)
				}
				if tokenType != "" && c.by == nil {
					continue // another refusal: such a token needs a certificate
				}
				status, body := send(t, srv, c.by, form)
				assert.Equal(t, c.status, status, body)
				if c.says != "" {
					assert.Contains(t, body["error_description"], c.says)
					continue
				}
				_, claims := claimsOf(t, body["access_token"].(string))
				assert.Equal(t, tokenType != "", claims["cnf"] != nil, "bound only if it was asked for")
			}
		})
	}
}

// The certificate in TLS is the one that signed the assertion beside it.
func TestAssertionBesideACertificateInTLS(t *testing.T) {
	srv := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("app"))
	other := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("other"))
	srv.Register(clientID, cert.Leaf, other.Leaf)
	for status, by := range map[int]*certtoken.Certificate{200: cert, 401: other} {
		got, body := send(t, srv, by, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {graphScope},
			"client_assertion_type": {kind}, "client_assertion": {sign(t, cert, mtlsURL)},
		})
		assert.Equal(t, status, got, body)
	}
}

// sign is an assertion by a certificate for an endpoint.
func sign(t *testing.T, cert *certtoken.Certificate, audience string) string {
	t.Helper()
	jwt, err := certtoken.Assertion{ClientID: clientID, Audience: audience}.Sign(t.Context(), cert)
	require.NoError(t, err)
	return jwt
}
