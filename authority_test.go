package certtoken_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func TestAuthorityRefuses(t *testing.T) {
	const issuer = "https://issuer.example"
	cases := map[string]struct {
		authority certtoken.Authority
		want      string
	}{
		"zero":               {certtoken.Authority{}, "make one with"},
		"no tenant":          {certtoken.Entra(""), "no tenant"},
		"common":             {certtoken.Entra("common"), "stands for many"},
		"organizations":      {certtoken.EntraUSGov("Organizations"), "stands for many"},
		"consumers":          {certtoken.EntraChina("consumers"), "stands for many"},
		"a path":             {certtoken.Entra("contoso.com/v2"), "neither a GUID nor a domain"},
		"dots":               {certtoken.Entra(".."), "neither a GUID nor a domain"},
		"dots in a domain":   {certtoken.Entra("contoso..com"), "neither a GUID nor a domain"},
		"escaped slash":      {certtoken.Entra("contoso.com%2f.."), "neither a GUID nor a domain"},
		"query":              {certtoken.Entra("contoso.com?x=1"), "neither a GUID nor a domain"},
		"a word":             {certtoken.Entra("contoso"), "neither a GUID nor a domain"},
		"newline":            {certtoken.Entra("contoso.com\n"), "neither a GUID nor a domain"},
		"GUID with braces":   {certtoken.Entra("{" + tenantID + "}"), "neither a GUID nor a domain"},
		"a very long domain": {certtoken.Entra(strings.Repeat("a.", 200) + "com"), "neither a GUID nor a domain"},
		"ADFS with path":     {certtoken.ADFS("fs.contoso.com/adfs"), "host name only"},
		"ADFS without host":  {certtoken.ADFS(""), "host name only"},
		"ADFS with user":     {certtoken.ADFS("user@fs.contoso.com"), "host name only"},
		"no issuer":          {certtoken.Issuer("", "https://issuer.example/token"), "no issuer"},
		"no URL":             {certtoken.Issuer(issuer, ""), "no token endpoint"},
		"relative URL":       {certtoken.Issuer(issuer, "/token"), "no host"},
		"not a URL":          {certtoken.Issuer(issuer, "https://issuer.example/%zz"), "not a URL"},
		"http":               {certtoken.Issuer(issuer, "http://issuer.example/token"), "plain http"},
		"http on loopback":   {certtoken.Issuer(issuer, "http://127.0.0.1:8080/token"), "WithLoopbackHTTP"},
		"http elsewhere, allowed": {
			certtoken.Issuer(issuer, "http://issuer.example/token", certtoken.WithLoopbackHTTP()),
			"plain http",
		},
		"almost loopback": {
			certtoken.Issuer(issuer, "http://127.0.0.1.example/token", certtoken.WithLoopbackHTTP()),
			"plain http",
		},
		"ftp": {certtoken.Issuer(issuer, "ftp://issuer.example/token"), "not https"},
		"user in URL": {
			certtoken.Issuer(issuer, "https://user:hunter2@issuer.example/token"),
			"user or password",
		},
		"fragment":  {certtoken.Issuer(issuer, "https://issuer.example/token#x"), "fragment"},
		"algorithm": {certtoken.Entra(tenantID, certtoken.WithAlgorithm("HS256")), "unknown algorithm"},
		"an algorithm for EC": {certtoken.Entra(tenantID, certtoken.WithAlgorithm(certtoken.ES256)),
			"takes RSA keys only"},
		"FAPI with Entra ID": {certtoken.Entra(tenantID, certtoken.WithFAPI()), "WithFAPI"},
		"FAPI with ADFS":     {certtoken.ADFS("fs.contoso.com", certtoken.WithFAPI()), "WithFAPI"},

		"lifetime":               {certtoken.Entra(tenantID, certtoken.WithLifetime(2*time.Hour)), "lifetime"},
		"lifetime 0":             {certtoken.Entra(tenantID, certtoken.WithLifetime(0)), "lifetime"},
		"audience":               {certtoken.Entra(tenantID, certtoken.WithAudience("")), "empty audience"},
		"backdate":               {certtoken.Entra(tenantID, certtoken.WithBackdate(2*time.Hour)), "backdate"},
		"negative backdate":      {certtoken.Entra(tenantID, certtoken.WithBackdate(-time.Second)), "negative"},
		"RFC 8705 with Entra ID": {certtoken.Entra(tenantID, certtoken.WithTLSClientAuth()), "WithMTLSPoP"},
	}
	cert := goldenCert(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client, err := certtoken.NewClient(c.authority, clientID, cert)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, client)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestAuthorityAccepts(t *testing.T) {
	for name, authority := range map[string]certtoken.Authority{
		"GUID":         certtoken.Entra(tenantID),
		"domain":       certtoken.Entra("contoso.onmicrosoft.com"),
		"short domain": certtoken.Entra("x.io"),
		"ADFS port":    certtoken.ADFS("fs.contoso.com:8443"),
		"query":        certtoken.Issuer("https://issuer.example", "https://issuer.example/token?v=2"),
		"loopback": certtoken.Issuer("http://localhost", "http://localhost:8080/token",
			certtoken.WithLoopbackHTTP()),
		"loopback IPv6": certtoken.Issuer("http://localhost", "http://[::1]:8080/token", certtoken.WithLoopbackHTTP()),
		"nil option":    certtoken.Entra(tenantID, nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certtoken.NewClient(authority, clientID, goldenCert(t))
			assert.NoError(t, err)
		})
	}
}

// What each authority sends: where to, and in which dialect.
func TestAuthorityDialects(t *testing.T) {
	const issuer, endpoint = "https://issuer.example", "https://issuer.example/token"
	cases := map[string]struct {
		authority              certtoken.Authority
		url, aud, typ, alg     string
		x5t, x5tS256, kid, x5c bool
		lifetime               time.Duration
		back                   time.Duration
	}{
		"not set back": {authority: certtoken.Issuer(issuer, endpoint, certtoken.WithBackdate(0)),
			url: endpoint, aud: issuer, typ: "client-authentication+jwt", alg: "RS256", x5tS256: true,
			lifetime: time.Minute},
		"Entra": {authority: certtoken.Entra(tenantID),
			url: tokenURL, aud: tokenURL, typ: "JWT", alg: "PS256", x5tS256: true, lifetime: 5 * time.Minute,
			back: 2 * time.Minute},
		"US Government": {authority: certtoken.EntraUSGov("contoso.us"),
			url: "https://login.microsoftonline.us/contoso.us/oauth2/v2.0/token",
			aud: "https://login.microsoftonline.us/contoso.us/oauth2/v2.0/token",
			typ: "JWT", alg: "PS256", x5tS256: true, lifetime: 5 * time.Minute, back: 2 * time.Minute},
		"China": {authority: certtoken.EntraChina("contoso.cn"),
			url: "https://login.partner.microsoftonline.cn/contoso.cn/oauth2/v2.0/token",
			aud: "https://login.partner.microsoftonline.cn/contoso.cn/oauth2/v2.0/token",
			typ: "JWT", alg: "PS256", x5tS256: true, lifetime: 5 * time.Minute, back: 2 * time.Minute},
		"ADFS": {authority: certtoken.ADFS("fs.contoso.com"),
			url: "https://fs.contoso.com/adfs/oauth2/token", aud: "https://fs.contoso.com/adfs/oauth2/token",
			typ: "JWT", alg: "RS256", x5t: true, lifetime: 5 * time.Minute, back: 2 * time.Minute},
		"issuer": {authority: certtoken.Issuer(issuer, endpoint),
			url: endpoint, aud: issuer, typ: "client-authentication+jwt", alg: "RS256", x5tS256: true,
			lifetime: time.Minute, back: 30 * time.Second},
		"issuer, the older custom": {
			authority: certtoken.Issuer(
				issuer,
				endpoint,
				certtoken.WithAudience(endpoint),
				certtoken.WithAssertionType("JWT"),
			),
			url:      endpoint,
			aud:      endpoint,
			typ:      "JWT",
			alg:      "RS256",
			x5tS256:  true,
			lifetime: time.Minute,
			back:     30 * time.Second,
		},
		"FAPI": {authority: certtoken.Issuer(issuer, endpoint, certtoken.WithFAPI()),
			url: endpoint, aud: issuer, typ: "client-authentication+jwt", alg: "PS256", x5tS256: true,
			lifetime: time.Minute, back: 30 * time.Second},
		"the article's": {
			authority: certtoken.Entra(
				tenantID,
				certtoken.WithAlgorithm(certtoken.RS512),
				certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA1),
				certtoken.WithLifetime(30*time.Second),
			),
			url:      tokenURL,
			aud:      tokenURL,
			typ:      "JWT",
			alg:      "RS512",
			x5t:      true,
			lifetime: 30 * time.Second,
			back:     2 * time.Minute,
		},
		"everything": {
			authority: certtoken.Entra(
				tenantID,
				certtoken.WithThumbprintHeader(certtoken.ThumbprintBoth),
				certtoken.WithKeyID("k"),
				certtoken.WithX5C(),
			),
			url:      tokenURL,
			aud:      tokenURL,
			typ:      "JWT",
			alg:      "PS256",
			x5t:      true,
			x5tS256:  true,
			kid:      true,
			x5c:      true,
			lifetime: 5 * time.Minute,
			back:     2 * time.Minute,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var wire recorder
			client, err := certtoken.NewClient(
				c.authority,
				clientID,
				certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
				certtoken.WithHTTPClient(&http.Client{Transport: &wire}),
			)
			require.NoError(t, err)
			_, err = client.Token(t.Context(), "https://management.azure.com/.default")
			require.ErrorContains(t, err, "invalid_client")
			assert.Equal(t, c.url, wire.url)
			form := wire.form
			header, claims := decodedJWT(t, form.Get("client_assertion"))
			var h map[string]any
			require.NoError(t, json.Unmarshal(header, &h))
			assert.Equal(t, c.alg, h["alg"])
			assert.Equal(t, c.typ, h["typ"])
			for name, want := range map[string]bool{"x5t": c.x5t, "x5t#S256": c.x5tS256, "kid": c.kid, "x5c": c.x5c} {
				assert.Equal(t, want, h[name] != nil, name)
			}
			var cl struct {
				Aud           any
				Iss, Sub      string
				Nbf, Iat, Exp int64
			}
			require.NoError(t, json.Unmarshal(claims, &cl))
			assert.Equal(t, c.aud, cl.Aud)
			assert.Equal(t, clientID, cl.Iss)
			assert.Equal(t, clientID, cl.Sub)
			assert.Equal(t, cl.Nbf, cl.Iat)
			assert.Equal(t, int64((c.lifetime+c.back)/time.Second), cl.Exp-cl.Nbf)
		})
	}
}

// recorder notes a request and refuses it.
type recorder struct {
	url  string
	form url.Values
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.url = req.URL.String()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if r.form, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusBadRequest,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(`{"error":"invalid_client"}`)),
	}, nil
}

// The form of the article's request, right.
func TestTokenRequestForm(t *testing.T) {
	srv := certtokentest.New()
	cert := certtokentest.NewCertificate(t)
	srv.Register(clientID, cert.Leaf)
	client, err := certtoken.NewClient(
		certtoken.Entra(tenantID),
		clientID,
		cert,
		certtoken.WithHTTPClient(srv.Client()),
		certtoken.WithUserAgent("billing/1.4"),
	)
	require.NoError(t, err)
	_, err = client.Token(t.Context(), "https://management.azure.com/.default")
	require.NoError(t, err)

	r := srv.LastRequest()
	form := r.Form
	assert.NotEmpty(t, form.Get("client_assertion"))
	form.Del("client_assertion")
	assert.Equal(t, map[string][]string{
		"grant_type":            {"client_credentials"},
		"client_id":             {clientID},
		"scope":                 {"https://management.azure.com/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}, map[string][]string(form))
	assert.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
	assert.Regexp(t, `^billing/1\.4 certtoken/`, r.Header.Get("User-Agent"))
	assert.Regexp(t, uuidPattern, r.Header.Get("client-request-id"))
}

func TestNewClientReportsEverythingAtOnce(t *testing.T) {
	_, err := certtoken.NewClient(
		certtoken.Entra("common", certtoken.WithAlgorithm("HS256")),
		"",
		nil,
		certtoken.WithCacheLimit(0),
		certtoken.WithHTTPClient(nil),
		certtoken.WithTenants("no/tenant"),
		certtoken.WithKeepWarm(
			"bad\"scope",
		),
		certtoken.WithStore(nil),
		certtoken.WithLogger(nil),
		certtoken.WithUserAgent("a\nb"),
	)
	for _, want := range []string{"stands for many", "HS256", "client id", "certificate source", "WithCacheLimit",
		"WithHTTPClient", "no/tenant", "RFC 6749", "WithStore", "WithLogger", "WithUserAgent"} {
		assert.ErrorContains(t, err, want)
	}
}
