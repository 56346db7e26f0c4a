package certtoken_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// answering is an endpoint that gives the same answer to everybody.
func answering(status int, contentType, body string) http.RoundTripper {
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), Request: req,
		}, nil
	})
}

// issuerClient is a client of a server that is named by some options.
func issuerClient(t *testing.T, endpoint http.RoundTripper, opts ...certtoken.AuthorityOption) *certtoken.Client {
	t.Helper()
	real := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	cert, err := certtoken.NewCertificate(freeSigner{real.Signer.Public().(*rsa.PublicKey)}, real.Leaf, nil)
	require.NoError(t, err)
	authority := certtoken.Issuer("https://issuer.example", "https://issuer.example/token", opts...)
	client, err := certtoken.NewClient(
		authority,
		"app",
		cert,
		certtoken.WithHTTPClient(&http.Client{Transport: endpoint}),
	)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// Answers as servers give them, and what a client makes of them.
func TestAnswersOfServers(t *testing.T) {
	const json, form = "application/json", "application/x-www-form-urlencoded"
	taken := certtoken.WithTokenType("Bearer")
	for name, c := range map[string]struct {
		status   int
		kind     string
		body     string
		opts     []certtoken.AuthorityOption
		lifetime time.Duration
		says     string // "": a token
	}{
		"200": {
			200, json, `{"access_token":"t0ken","token_type":"bearer","expires_in":3600}`, nil, time.Hour, "",
		},
		"201": {
			201, json, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`, nil, time.Hour, "",
		},
		"a form": {200, form, `access_token=t0ken&token_type=bearer&expires_in=3600`, nil, time.Hour, ""},
		"a line end": {
			200, json, `{"access_token":"t0ken\n","token_type":"Bearer\n","expires_in":3600}`, nil, time.Hour, "",
		},
		"never ends":    {200, json, `{"access_token":"t0ken","expires_in":99999999999}`, nil, 87600 * time.Hour, ""},
		"no expires_in": {200, json, `{"access_token":"t0ken"}`, nil, time.Minute, ""},
		"zero":          {200, json, `{"access_token":"t0ken","expires_in":0}`, nil, time.Minute, ""},
		"assumed": {
			200, json, `{"access_token":"t0ken"}`,
			[]certtoken.AuthorityOption{certtoken.WithAssumedLifetime(2 * time.Hour)}, 2 * time.Hour, "",
		},
		"assumed, but said": {
			200, json, `{"access_token":"t0ken","expires_in":60}`,
			[]certtoken.AuthorityOption{certtoken.WithAssumedLifetime(2 * time.Hour)}, time.Minute, "",
		},
		"an odd type": {
			200, json, `{"access_token":"t0ken","token_type":"access_token"}`, nil, 0,
			`of type "access_token" where Bearer was asked for); if this server means Bearer by it, give ` +
				`WithTokenType("Bearer")`,
		},
		"an odd type taken": {
			200, json, `{"access_token":"t0ken","token_type":"access_token","expires_in":3600}`,
			[]certtoken.AuthorityOption{taken}, time.Hour, "",
		},
		"DPoP": {
			200, json, `{"access_token":"t0ken","token_type":"DPoP"}`, nil, 0,
			`of type "DPoP" where Bearer was asked for); the server binds`,
		},
		"DPoP, odd taken": {
			200, json, `{"access_token":"t0ken","token_type":"DPoP"}`, []certtoken.AuthorityOption{taken}, 0,
			`of type "DPoP"`,
		},
		"HTML": {
			200, "text/html", `<html><title>Sign in</title></html>`, nil, 0, `a page with the title "Sign in"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client := issuerClient(t, answering(c.status, c.kind, c.body), c.opts...)
				start := time.Now()
				tok, err := client.Token(t.Context(), "read")
				if c.says != "" {
					require.ErrorIs(t, err, certtoken.ErrBadResponse)
					assert.ErrorContains(t, err, c.says)
					assert.Equal(t, 1, strings.Count(err.Error(), "certtoken: "))
					assert.NotContains(t, err.Error(), "t0ken")
					return
				}
				require.NoError(t, err)
				assert.Equal(t, "t0ken", tok.AccessToken())
				assert.Equal(t, "Bearer", tok.Type())
				assert.True(t, tok.ExpiresAt().Equal(start.Add(c.lifetime)), "%v", tok.ExpiresAt())
			})
		})
	}
}

func TestTokenTypesAndLifetimesThatMakeNoSense(t *testing.T) {
	for _, opt := range []certtoken.AuthorityOption{
		certtoken.WithTokenType("DPoP"), certtoken.WithTokenType(""),
		certtoken.WithAssumedLifetime(0), certtoken.WithAssumedLifetime(-time.Hour),
		certtoken.WithAssumedLifetime(87601 * time.Hour),
	} {
		_, err := certtoken.NewClient(
			certtoken.Issuer("https://issuer.example", "https://issuer.example/token", opt),
			"app",
			certtoken.CertFile("x"),
		)
		assert.Error(t, err)
	}
}

// A refresh that brings no new refresh token keeps the old one (RFC 6749 §6), so
// that the loop of docs/users.md goes on.
func TestRefreshTokenIsKept(t *testing.T) {
	answers := []string{
		`{"access_token":"a1","expires_in":3600,"refresh_token":"r1"}`, `{"access_token":"a2","expires_in":3600}`,
		`{"access_token":"a3","expires_in":3600,"refresh_token":""}`,
		`{"access_token":"a4","expires_in":3600,"refresh_token":"r2"}`,
	}
	var sent []string
	client := issuerClient(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		require.NoError(t, req.ParseForm())
		sent = append(sent, req.Form.Get("refresh_token"))
		rec := httptest.NewRecorder()
		_, _ = rec.WriteString(answers[len(sent)-1])
		return rec.Result(), nil
	}))
	token, err := client.Acquire(t.Context(), certtoken.Request{Grant: certtoken.AuthorizationCode("a-code", "", "")})
	require.NoError(t, err)
	for _, want := range []string{"r1", "r1", "r2"} {
		token, err = client.Acquire(
			t.Context(),
			certtoken.Request{Grant: certtoken.RefreshToken(token.RefreshToken())},
		)
		require.NoError(t, err)
		assert.Equal(t, want, token.RefreshToken())
	}
	assert.Equal(t, []string{"", "r1", "r1", "r1"}, sent)

	// An answer to another grant gets none.
	client = issuerClient(t, answering(200, "application/json", answers[1]))
	token, err = client.Acquire(t.Context(), certtoken.Request{Grant: certtoken.OnBehalfOf("user-token")})
	require.NoError(t, err)
	assert.Empty(t, token.RefreshToken())
}

// Advice fits the grant and the proof of the request, and a page gives none about
// keys.
func TestAdviceFitsTheRequest(t *testing.T) {
	const json = "application/json"
	newFederated := func(endpoint http.RoundTripper) *certtoken.Client {
		jwt := "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln"
		source := certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { return jwt, nil })
		client, err := certtoken.NewFederatedClient(
			certtoken.Entra("contoso.com"),
			"app",
			source,
			certtoken.WithHTTPClient(&http.Client{Transport: endpoint}),
		)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		return client
	}
	newTLS := func(endpoint http.RoundTripper) *certtoken.Client {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			resp, err := endpoint.RoundTrip(req)
			require.NoError(t, err)
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
		}))
		t.Cleanup(server.Close)
		authority := certtoken.Issuer("https://issuer.example", server.URL, certtoken.WithTLSClientAuth())
		client, err := certtoken.NewClient(
			authority,
			"app",
			certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
			certtoken.WithHTTPClient(server.Client()),
		)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		return client
	}
	newIssuer := func(endpoint http.RoundTripper) *certtoken.Client { return issuerClient(t, endpoint) }
	user := certtoken.OnBehalfOf("user-token")
	for name, c := range map[string]struct {
		client func(http.RoundTripper) *certtoken.Client
		grant  certtoken.Grant
		status int
		kind   string
		body   string
		says   string
		not    string
	}{
		"invalid_client": {
			newIssuer, certtoken.Grant{}, 401, json, `{"error":"invalid_client"}`, "WithAudience", "DN",
		},
		"invalid_client over TLS": {
			newTLS, certtoken.Grant{}, 401, json, `{"error":"invalid_client"}`, "subject (DN) or SAN", "WithA",
		},
		"invalid_client, federated": {
			newFederated, certtoken.Grant{}, 401, json, `{"error":"invalid_client"}`, "issuer, subject and audience",
			"certificate",
		},
		"a status, federated": {
			newFederated, certtoken.Grant{}, 401, json, ``, "issuer, subject and audience", "certificate",
		},
		"700027, federated": {
			newFederated, certtoken.Grant{}, 401, json, `{"error":"invalid_client","error_codes":[700027]}`,
			"federated credential", "upload",
		},
		"7000218, federated": {
			newFederated, certtoken.Grant{}, 401, json, `{"error":"invalid_client","error_codes":[7000218]}`,
			"federated credential", "the certificate",
		},
		"invalid_grant": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"invalid_grant"}`, "bound", "sign in",
		},
		"invalid_grant of a user": {newIssuer, user, 400, json, `{"error":"invalid_grant"}`, "sign in", "bound"},
		"invalid_grant of a code": {
			newIssuer, certtoken.RefreshToken("r1"), 400, json, `{"error":"invalid_grant"}`, "sign in", "bound",
		},
		"temporarily_unavailable": {
			newIssuer, certtoken.RefreshToken("r1"), 400, json, `{"error":"temporarily_unavailable"}`,
			"call again later", "key",
		},
		"a web filter": {
			newIssuer, certtoken.Grant{}, 403, "text/html", `<html><title>Blocked</title>Incident ID: 12-34</html>`,
			`"12-34"`, "public key",
		},
		"a web filter's 401": {
			newIssuer, certtoken.Grant{}, 401, "text/html", `<html><title>Blocked</title></html>`,
			"web filter, proxy or gateway", "public key",
		},
		"an empty 403": {newIssuer, certtoken.Grant{}, 403, "", ``, "public key", "web filter"},

		// codes and texts as these servers write them
		"Auth0, no API named": {
			newIssuer, certtoken.Grant{}, 403, json, `{"error":"access_denied","error_description":"No audience parameter ` +
				`was provided, and no default audience has been configured"}`,
			"WithParameter: audience or resource", "public key",
		},
		"Okta's policy": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"access_denied","error_description":"Policy evaluation ` +
				`failed for this request, please check the policy configurations."}`,
			"have its administrator allow the client", "public key",
		},
		"Auth0 is asked too often": {
			newIssuer, certtoken.Grant{}, 429, json, `{"error":"too_many_requests","error_description":"Global limit has ` +
				`been reached"}`, "call again later", "public key",
		},
		"ADFS, an API that it doesn't know": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"invalid_resource","error_description":"MSIS9602: The ` +
				`received 'resource' parameter is invalid."}`, "name it by its identifier there", "public key",
		},
		"NHS England, a kid that it misses": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"invalid_request","error_description":"Missing 'kid' header ` +
				`in client_assertion JWT"}`, "kid (WithKeyID)", "misses something",
		},
		"NHS England, keys that it can't fetch": {
			newIssuer, certtoken.Grant{}, 403, json, `{"error":"public_key error","error_description":"The JWKS endpoint, ` +
				`for your client_assertion can't be reached","message_id":"rrt-1"}`, "register the certificate", "bound",
		},
		"another request, of a user's assertion": {
			newIssuer, user, 400, json, `{"error":"invalid_request","error_description":"The assertion is malformed."}`,
			"its description says what", "WithKeyID",
		},
		"UAA, a client that it doesn't know": {
			newIssuer, certtoken.Grant{}, 401, json, `{"error":"unauthorized","error_description":"Bad credentials"}`,
			"register the certificate", "bound",
		},
		"Salesforce, another client id": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"invalid_client_id","error_description":"client identifier ` +
				`invalid"}`, "production or test", "bound",
		},
		"ADFS, a fault": {
			newIssuer, certtoken.Grant{}, 500, json, `{"error":"server_error"}`, "which its log explains", "call again",
		},
		"fosite, a fault": {
			newIssuer, certtoken.Grant{}, 500, json, `{"error":"error"}`, "which its log explains", "call again",
		},
		"RFC 9396": {
			newIssuer, certtoken.Grant{}, 400, json, `{"error":"invalid_authorization_details"}`,
			"the authorization_details are of a type", "public key",
		},
		"an unknown address": {
			newIssuer, certtoken.Grant{}, 404, json, `{"timestamp":"2026-11-29T05:08:38Z","status":404,"error":"Not Found"}`,
			"compare the token endpoint's URL", "public key",
		},
		"an unknown address, and nothing more": {
			newIssuer, certtoken.Grant{}, 404, json, ``, "is it the token endpoint", "compare",
		},

		"a refusal with status 200": {
			newIssuer, certtoken.Grant{}, 200, json, `{"error":"invalid_client"}`, "answered 200 invalid_client",
			"unusable",
		},
		"a message with status 200": {
			newIssuer, certtoken.Grant{}, 200, json, `{"status":"error","msg":"client is locked"}`,
			"answered 200: client is locked", "unusable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.client(answering(c.status, c.kind, c.body)).
				Acquire(t.Context(), certtoken.Request{Scopes: []string{"api://a/.default"}, Grant: c.grant})
			var te *certtoken.TokenError
			require.True(t, errors.As(err, &te), "%v", err)
			assert.Contains(t, err.Error(), c.says)
			assert.NotContains(t, te.Advice(), c.not)
			assert.True(t, strings.HasSuffix(err.Error(), te.Advice()))
			assert.Equal(t, 1, strings.Count(err.Error(), "certtoken: "))
		})
	}
}

// The errors of a user's parts lose what is shaped like a secret, and are found.
func TestErrorsOfTheUsersPartsAreScrubbed(t *testing.T) {
	const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
	cause := errors.New("GET https://ada:pa55word@vault.example/: 401 for " + jwt)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	pair := &certtoken.Certificate{
		Leaf:   cert.Leaf,
		Signer: brokenSigner{cert.Signer.(*rsa.PrivateKey), func() ([]byte, error) { return nil, cause }},
	}
	newClient := func(source certtoken.CertSource) (*certtoken.Client, error) {
		return certtoken.NewClient(certtoken.Entra("contoso.com"), "app", source)
	}
	fails := func(context.Context) (*certtoken.Certificate, error) { return nil, cause }
	for name, made := range map[string]func() (*certtoken.Client, error){
		"source": func() (*certtoken.Client, error) {
			return newClient(certtoken.CertSourceFunc(fails))
		},
		"source among others": func() (*certtoken.Client, error) {
			return newClient(certtoken.NewestValid(certtoken.CertSourceFunc(fails)))
		},
		"signer": func() (*certtoken.Client, error) { return newClient(pair) },
		"assertion source": func() (*certtoken.Client, error) {
			return certtoken.NewFederatedClient(certtoken.Entra("contoso.com"), "app",
				certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { return "", cause }))
		},
		"round tripper": func() (*certtoken.Client, error) {
			failing := roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, cause })
			return certtoken.NewClient(certtoken.Entra("contoso.com"), "app", cert,
				certtoken.WithHTTPClient(&http.Client{Transport: failing}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, err := made()
				require.NoError(t, err)
				_, err = client.Token(t.Context(), graph)
				require.ErrorIs(t, err, cause)
				assert.Contains(t, err.Error(), "GET https://[removed]@vault.example/: 401 for [removed]")
				for e := range chainOf(err) {
					assert.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), "pa55word")
				}
				assert.NoError(t, client.Close())
			})
		})
	}
}

// An error of the base transport doesn't show the token that it was given.
func TestTransportErrorsAreScrubbed(t *testing.T) {
	r := newRig(t)
	plain := errors.New("connection refused")
	for name, c := range map[string]struct {
		err  func(*http.Request) error
		says string
	}{
		"the token": {
			func(req *http.Request) error { return fmt.Errorf("sent %v: %w", req.Header, plain) }, "[removed]",
		},
		"nothing of it": {func(*http.Request) error { return plain }, "connection refused"},
	} {
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) { return nil, c.err(req) })
		_, err := r.client.Transport(base, graph).
			RoundTrip(httptest.NewRequest(http.MethodGet, "https://api.example/", nil))
		require.ErrorIs(t, err, plain, name)
		assert.Contains(t, err.Error(), c.says, name)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), r.server.LastRequest().AccessToken, name)
		assert.Equal(t, name == "nothing of it", err == plain, "an error without a secret is passed on")
	}
}
