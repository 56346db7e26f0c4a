package certtoken_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func TestDiscover(t *testing.T) {
	for _, issuer := range []string{"https://as.example.com", "https://as.example.com/realms/one", ""} {
		t.Run(issuer, func(t *testing.T) {
			opts := []certtokentest.Option{certtokentest.WithIssuer(issuer), certtokentest.WithOpaqueTokens()}
			server := certtokentest.New(opts...)
			if issuer == "" {
				server = certtokentest.NewServer(t, opts...)
			}
			authority, err := certtoken.Discover(t.Context(), server.Issuer(),
				certtoken.WithDiscoveryClient(server.Client()))
			require.NoError(t, err)
			assert.Zero(t, server.Count())
			cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			server.Register(appID, cert.Leaf)
			client, err := certtoken.NewClient(authority, appID, cert, certtoken.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.Equal(t, "RS256", server.LastRequest().AssertionHeader["alg"])
		})
	}
}

// metadataServer answers what a test wants.
type metadataServer map[string]string

func (m metadataServer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: 404, Header: http.Header{}, Request: req, Body: http.NoBody}
	answer, ok := m[req.URL.String()]
	if strings.HasPrefix(answer, "->") {
		resp.StatusCode = 302
		resp.Header.Set("Location", answer[2:])
	} else if ok {
		resp.StatusCode = 200
		resp.Body = io.NopCloser(strings.NewReader(answer))
	}
	return resp, nil
}

func TestDiscoverPins(t *testing.T) {
	const (
		issuer = "https://as.example.com/one"
		oauth  = "https://as.example.com/.well-known/oauth-authorization-server/one"
		openid = "https://as.example.com/one/.well-known/openid-configuration"
		good   = `{"issuer":"https://as.example.com/one","token_endpoint":"https://tokens.example.net/t"}`
	)
	cases := map[string]struct {
		issuer string
		opts   []certtoken.AuthorityOption
		server metadataServer
		says   string // "" is an authority
	}{
		"RFC 8414":           {server: metadataServer{oauth: good}},
		"OpenID":             {server: metadataServer{openid: good}},
		"second place helps": {server: metadataServer{oauth: `<html>`, openid: good}},
		"redirect in the host": {
			server: metadataServer{oauth: "->https://as.example.com/meta", "https://as.example.com/meta": good},
		},
		"nothing": {server: metadataServer{}, says: "404"},
		"another issuer": {
			server: metadataServer{oauth: strings.Replace(good, "/one", "/two", 1)},
			says:   "of issuer",
		},
		"a slash more": {
			server: metadataServer{oauth: strings.Replace(good, "/one", "/one/", 1)},
			says:   "of issuer",
		},
		"no issuer": {
			server: metadataServer{oauth: `{"token_endpoint":"https://tokens.example.net/t"}`},
			says:   `of issuer "", not of`,
		},
		"an error in JSON, status 200": {
			server: metadataServer{openid: `{"errorCode":"E0000007","errorSummary":"Not found"}`},
			says:   "an answer without an issuer is of no server",
		},
		"its port written out": {
			server: metadataServer{openid: strings.Replace(good, "as.example.com", "as.example.com:443", 1)},
			says:   "the same to the letter: give Discover the issuer as the server writes it",
		},
		"behind a proxy that ends TLS": {
			server: metadataServer{openid: strings.Replace(good, "https://as", "http://as", 1)},
			says:   "doesn't know that it is reached by https: set its public address",
		},
		"one issuer for all tenants": {
			server: metadataServer{openid: strings.Replace(good, "as.example.com/one", "identity.example.com/", 1)},
			says:   "give Issuer the issuer that it names, and its token endpoint",
		},
		"OpenID's place":         {issuer: openid, says: "give the issuer itself, \"" + issuer + "\""},
		"RFC 8414's":             {issuer: oauth, says: "give the issuer itself, \"" + issuer + "\""},
		"a mark before the text": {server: metadataServer{openid: "\xef\xbb\xbf" + good}},
		"an empty list of aliases": {
			server: metadataServer{openid: strings.Replace(good, "}", `,"mtls_endpoint_aliases":[]}`, 1)},
		},
		"one method, no list": {
			server: metadataServer{
				openid: strings.Replace(good, "}", `,"token_endpoint_auth_methods_supported":"private_key_jwt"}`, 1),
			},
		},
		"one method that isn't ours, no list": {
			server: metadataServer{
				openid: strings.Replace(good, "}", `,"token_endpoint_auth_methods_supported":"client_secret_post"}`, 1),
			},
			says: "takes clients by client_secret_post, and not by private_key_jwt",
		},
		"a list of algorithms that is none": {
			server: metadataServer{
				openid: strings.Replace(good, "}", `,"token_endpoint_auth_signing_alg_values_supported":{"a":1}}`, 1),
			},
		},
		"no method, and no client authentication": { // Google's
			server: metadataServer{
				openid: strings.Replace(good, "}", `,"token_endpoint_auth_methods_supported":["client_secret_post"]}`, 1),
			},
			opts: []certtoken.AuthorityOption{certtoken.WithoutClientAuthentication()},
		},
		"a relative endpoint": {
			server: metadataServer{oauth: `{"issuer":"https://as.example.com/one","token_endpoint":"/t"}`},
			says:   `its token endpoint "/t" has no host`,
		},
		"no endpoint": {
			server: metadataServer{oauth: `{"issuer":"https://as.example.com/one"}`},
			says:   "no token endpoint",
		},
		"http endpoint": {
			server: metadataServer{oauth: strings.Replace(good, "https://tokens", "http://tokens", 1)},
			says:   "plain http",
		},
		"http alias": {
			server: metadataServer{
				oauth: strings.Replace(
					good,
					"}",
					`,"mtls_endpoint_aliases":{"token_endpoint":"http://x.example/"}}`,
					1,
				),
			},
			says: "plain http",
		},
		"redirect elsewhere": {
			server: metadataServer{oauth: "->https://evil.example/meta", "https://evil.example/meta": good},
			says:   "evil.example",
		},
		"redirect to http": {
			server: metadataServer{oauth: "->http://as.example.com/meta", "http://as.example.com/meta": good},
			says:   "redirects",
		},
		"redirect in a circle": {server: metadataServer{oauth: "->" + oauth}, says: "too often"},
		"too large":            {server: metadataServer{oauth: strings.Repeat(" ", 2<<20) + good}, says: "larger"},
		"no JSON":              {server: metadataServer{oauth: "hello"}, says: "not metadata"},
		"a list":               {server: metadataServer{oauth: "[]"}, says: "not metadata"},
		"our method": {
			server: metadataServer{
				oauth: strings.Replace(
					good,
					"}",
					`,"token_endpoint_auth_methods_supported":["none","private_key_jwt"]}`,
					1,
				),
			},
		},
		"no method of ours": {
			server: metadataServer{
				oauth: strings.Replace(
					good,
					"}",
					`,"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]}`,
					1,
				),
			},
			says: "takes clients by client_secret_basic, client_secret_post, and not by private_key_jwt",
		},
		"not by TLS": {
			server: metadataServer{
				oauth: strings.Replace(good, "}", `,"token_endpoint_auth_methods_supported":["private_key_jwt"]}`, 1),
			},
			opts: []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
			says: "takes clients by private_key_jwt, and not by tls_client_auth",
		},
		"by TLS": {
			server: metadataServer{
				oauth: strings.Replace(
					good,
					"}",
					`,"token_endpoint_auth_methods_supported":["self_signed_tls_client_auth"]}`,
					1,
				),
			},
			opts: []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
		},
		"http issuer":         {issuer: "http://as.example.com", says: "plain http"},
		"no issuer given":     {issuer: "-", says: "no host"},
		"issuer with a query": {issuer: issuer + "?a=b", says: "query"},
		"issuer with a user":  {issuer: "https://a:b@as.example.com", says: "user"},
		"bad option":          {opts: []certtoken.AuthorityOption{certtoken.WithHost("x")}, says: "WithHost"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			asked := issuer
			if c.issuer != "" {
				asked = strings.TrimPrefix(c.issuer, "-")
			}
			authority, err := certtoken.Discover(t.Context(), asked,
				append(c.opts, certtoken.WithDiscoveryClient(&http.Client{Transport: c.server}))...)
			_, newErr := certtoken.NewClient(authority, appID, &certtoken.Certificate{})
			if c.says == "" {
				require.NoError(t, err)
				assert.NoError(t, newErr)
				return
			}
			assert.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "\n")
			assert.Error(t, newErr, "an authority that wasn't found is none")
		})
	}
}

// The error tells of the place whose metadata can't be used, and not of those that have none.
// What all places have in common is told once.
func TestDiscoverTellsOnce(t *testing.T) {
	const issuer, places = "https://as.example.com", "https://as.example.com/.well-known/"
	for name, c := range map[string]struct {
		server http.RoundTripper
		want   string
	}{
		"none": {
			metadataServer{},
			places + "oauth-authorization-server, " + places + "openid-configuration, " +
				places + "smart-configuration: " +
				"it answered 404; give the issuer exactly as the server's documentation has it; for a server without " +
				"metadata, give the token endpoint to Issuer",
		},
		"one of another issuer": {
			metadataServer{places + "openid-configuration": `{"issuer":"https://as.example.com/"}`},
			places + `openid-configuration: it is of issuer "https://as.example.com/", not of "https://as.example.com"; ` +
				"the two must be the same to the letter: give Discover the issuer as the server writes it",
		},
		"no connection": {
			roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }),
			"https://as.example.com: unexpected EOF",
		},
		"a fault": {
			roundTripFunc(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 500, Body: http.NoBody, Request: req}, nil
			}),
			places + "oauth-authorization-server, " + places + "openid-configuration, " +
				places + "smart-configuration: " +
				"it answered 500; a fault or throttling on the server's side: call again later",
		},
	} {
		bubble(t, func(t *testing.T) {
			_, err := certtoken.Discover(t.Context(), issuer,
				certtoken.WithDiscoveryClient(&http.Client{Transport: c.server}))
			assert.EqualError(t, err, "certtoken: discovery: "+c.want, name)
		})
	}
}

// discovered is the authority of a server that lists these algorithms.
func discovered(t *testing.T, list string, opts ...certtoken.AuthorityOption) certtoken.Authority {
	t.Helper()
	const issuer = "https://as.example.com"
	place := metadataServer{issuer + "/.well-known/openid-configuration": fmt.Sprintf(
		`{"issuer":%q,"token_endpoint":"%s/token","token_endpoint_auth_signing_alg_values_supported":%s}`,
		issuer, issuer, list,
	)}
	authority, err := certtoken.Discover(t.Context(), issuer,
		append(opts, certtoken.WithDiscoveryClient(&http.Client{Transport: place}))...)
	require.NoError(t, err)
	return authority
}

// Servers list everything that they know. A client is registered for one algorithm, which
// is the usual one of its key more often than not.
func TestDiscoverAlgorithm(t *testing.T) {
	const nothing = "the server takes "
	for _, c := range []struct{ list, kind, want string }{
		{`["PS256","RS256"]`, "RSA", "RS256"},
		{`["ES256","PS384","PS256"]`, "RSA", "PS384"},
		{`["ES256"]`, "RSA", nothing + "ES256, and this key is an RSA key of 2048 bits"},
		{`["HS256","none"]`, "RSA", nothing + "HS256, none"},
		{`["ES384","ES256"]`, "P-256", "ES256"},
		{`["ES256","ES384"]`, "P-384", "ES384"},
		{`["ES512"]`, "P-521", "ES512"},
		{`["RS256","ES256"]`, "P-384", nothing + "RS256, ES256, and this key is an EC key of the curve P-384"},
		{`["Ed25519"]`, "Ed25519", "Ed25519"},
		{`["EdDSA"]`, "Ed25519", "EdDSA"},
		{`["Ed25519","EdDSA"]`, "Ed25519", "EdDSA"},
		{`["ES256"]`, "Ed25519", nothing + "ES256"},
		{`[]`, "RSA", "RS256"}, {`null`, "RSA", "RS256"}, {`null`, "P-256", "ES256"},
		{`null`, "P-384", "ES384"}, {`null`, "P-521", "ES512"}, {`null`, "Ed25519", "EdDSA"},
	} {
		checkAlgorithm(t, discovered(t, c.list), c.kind, c.want)
		if strings.HasPrefix(c.want, nothing) {
			checkAlgorithm(t, discovered(t, c.list), c.kind, "WithAlgorithm if the server's list is wrong")
		}
	}
	explicit := discovered(t, `["ES256"]`, certtoken.WithAlgorithm(certtoken.RS512))
	checkAlgorithm(t, explicit, "RSA", "RS512")
	checkAlgorithm(t, explicit, "P-256", "RS512 is for RSA keys, and this key is an EC key of the curve P-256")
	long := discovered(t, `["`+strings.Repeat("x", 5000)+`"]`)
	checkAlgorithm(t, long, "RSA", nothing+"xxx")
}

func TestDiscoverEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		})}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := certtoken.Discover(ctx, "https://as.example.com", certtoken.WithDiscoveryClient(slow))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(start))
		_, err = certtoken.Discover(t.Context(), "https://as.example.com", certtoken.WithDiscoveryClient(slow))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Each kind of Entra authority asks the endpoint that its documentation names.
func TestEntraEndpoints(t *testing.T) {
	const tenant = "contoso.com"
	for name, c := range map[string]struct {
		authority certtoken.Authority
		want      string
	}{
		"region": {
			certtoken.Entra(tenant, certtoken.WithRegion("westeurope")),
			"https://westeurope.login.microsoft.com/contoso.com/oauth2/v2.0/token",
		},
		"custom host": {
			certtoken.Entra(tenant, certtoken.WithHost("login.private.example:8443")),
			"https://login.private.example:8443/contoso.com/oauth2/v2.0/token",
		},
		"B2C": {
			certtoken.EntraB2C("contoso", "B2C_1_sign-in"),
			"https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_sign-in/oauth2/v2.0/token",
		},
		"odd spelling": {
			certtoken.Entra(tenant, certtoken.WithHost("Login.Private.example.:443")),
			"https://login.private.example/contoso.com/oauth2/v2.0/token",
		},
		"B2C, own domain": {
			certtoken.EntraB2C("contoso", "B2C_1A_x", certtoken.WithHost("login.contoso.com")),
			"https://login.contoso.com/contoso.onmicrosoft.com/B2C_1A_x/oauth2/v2.0/token",
		},
		"External ID": {
			certtoken.EntraExternalID("contoso"),
			"https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
		},
		"query": {
			certtoken.Entra(tenant, certtoken.WithQuery("dc", "PROD A"), certtoken.WithQuery("slice", "test")),
			"https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token?dc=PROD+A&slice=test",
		},
		"two queries": {
			certtoken.Issuer("https://as.example.com", "https://as.example.com/token?a=b",
				certtoken.WithQuery("c", "d")),
			"https://as.example.com/token?a=b&c=d",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			var audience any
			client, err := certtoken.NewClient(
				c.authority,
				appID,
				certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
				certtoken.WithHTTPClient(
					&http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
						asked = req.URL.String()
						server := certtokentest.New()
						resp, err := server.Transport().RoundTrip(req) // refuses the client
						audience = server.LastRequest().AssertionClaims["aud"]
						return resp, err
					})},
				),
			)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), graph)
			require.Error(t, err)
			assert.Equal(t, c.want, asked)
			if !strings.Contains(c.want, "as.example.com") {
				assert.Equal(t, strings.Split(c.want, "?")[0], audience, "the audience is the endpoint that is called")
			}
		})
	}
}

func TestAuthorityOptionsThatMakeNoSense(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	for name, c := range map[string]struct {
		authority certtoken.Authority
		says      string
	}{
		"region of another cloud": {certtoken.EntraUSGov("contoso.com", certtoken.WithRegion("usgov")), "WithRegion"},
		"region of a custom host": {
			certtoken.Entra("contoso.com", certtoken.WithHost("x.example"), certtoken.WithRegion("westeurope")),
			"WithRegion",
		},
		"region that is a host": {certtoken.Entra("contoso.com", certtoken.WithRegion("evil.example/")), "region"},
		"host of an issuer": {
			certtoken.Issuer("https://as.example.com", "https://as.example.com/token", certtoken.WithHost("x.example")),
			"WithHost",
		},
		"host with a path": {
			certtoken.Entra("contoso.com", certtoken.WithHost("x.example/y")), "host name only",
		},
		"host with a user": {
			certtoken.Entra("contoso.com", certtoken.WithHost("a@x.example")), "host name only",
		},
		"host in quotes": {
			certtoken.Entra("contoso.com", certtoken.WithHost(`"x.example"`)), "host name only",
		},
		"host in brackets": {
			certtoken.Entra("contoso.com", certtoken.WithHost("[x.example]")), "host name only",
		},
		"no host":      {certtoken.Entra("contoso.com", certtoken.WithHost("")), "host name only"},
		"B2C domain":   {certtoken.EntraB2C("contoso.onmicrosoft.com", "p"), "first part"},
		"B2C policy":   {certtoken.EntraB2C("contoso", "../x"), "user flow"},
		"no name":      {certtoken.EntraExternalID(""), "first part"},
		"no parameter": {certtoken.Entra("contoso.com", certtoken.WithParameter("", "x")), "not a name"},
	} {
		_, err := certtoken.NewClient(c.authority, appID, cert)
		assert.ErrorContains(t, err, c.says, name)
	}
	for _, name := range []string{"grant_type", "Client_ID", "client_assertion", "client_assertion_type",
		"client_secret", "scope", "assertion",
		"requested_token_use", "code", "redirect_uri", "code_verifier", "refresh_token", "claims", "token_type",
		"username", "password"} {
		for _, opt := range []certtoken.AuthorityOption{certtoken.WithParameter(name, "x"),
			certtoken.WithQuery(name, "x")} {
			_, err := certtoken.NewClient(certtoken.Entra("contoso.com", opt), appID, cert)
			assert.ErrorContains(t, err, "can't be given", name)
		}
	}
	for _, authority := range []certtoken.Authority{certtoken.EntraB2C("contoso", "p"),
		certtoken.EntraExternalID("contoso")} {
		_, err := certtoken.NewClient(authority, appID, cert, certtoken.WithTenants("fabrikam.com"))
		assert.ErrorContains(t, err, "WithTenants")
	}
}

func TestParameters(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	base := certtoken.WithParameter("resource", "https://api.example/ ü")
	authority := certtoken.Entra(
		"contoso.onmicrosoft.com",
		base,
		certtoken.WithQuery("dc", "x"),
		certtoken.WithParameter("audience", "b"),
	)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	var query string
	hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		query = req.URL.RawQuery
		return server.Transport().RoundTrip(req)
	})}
	client, err := certtoken.NewClient(authority, appID, cert, certtoken.WithHTTPClient(hc))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), graph)
	require.NoError(t, err)
	golden(t, "parameters", wireOf(t, server.LastRequest()))
	assert.Equal(t, "dc=x", query)
}

// Clients that ask for other parameters don't share tokens.
func TestParametersInTheStore(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	store := certtoken.NewMemoryStore()
	for _, opts := range [][]certtoken.AuthorityOption{nil, {certtoken.WithParameter("resource", "a")},
		{certtoken.WithParameter("resource", "b")}, {certtoken.WithQuery("resource", "a")}} {
		client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com", opts...), appID, cert,
			certtoken.WithHTTPClient(server.Client()), certtoken.WithStore(store, storeSecret))
		require.NoError(t, err)
		_, err = client.Token(t.Context(), graph)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}
	assert.Equal(t, 4, server.Count())
}

// The option says itself where it belongs, so that nobody thinks that tokens are asked for
// with this client.
func TestDiscoveryClientElsewhere(t *testing.T) {
	authority := certtoken.Issuer("https://as.example.com", "https://as.example.com/token",
		certtoken.WithDiscoveryClient(http.DefaultClient))
	_, err := certtoken.NewClient(authority, "client-id", newSharedCert(t))
	assert.ErrorContains(t, err, "WithDiscoveryClient is for Discover; the client's is WithHTTPClient")
}
