package certtokentest_test

import (
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Errors that Entra ID gives codes, those of RFC 6749 §5.2 and its own.
var (
	codeErrors = []string{
		"invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"invalid_resource", "interaction_required", "temporarily_unavailable",
	}
	malformed = []int{50194, 90002, 90014, 900023, 5002726, 7000110,
		9001023} // answered with invalid_request, which is also what unknown codes get
)

// Every code that the library advises on comes with the error that Entra ID gives
// it.
func TestErrorOfEachCode(t *testing.T) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	require.NoError(t, err)
	codes := regexp.MustCompile(`(?m)^\| AADSTS(\d+) \|`).FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(codes), 40)
	f := newFixture(t)
	for _, found := range codes {
		code, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		f.srv.Fail(certtokentest.Fault{Code: code})
		r := f.post(f.form())
		require.Equal(t, code, r.code())
		allowed := codeErrors
		for _, m := range malformed {
			if m == code {
				allowed = []string{"invalid_request"}
			}
		}
		assert.Contains(t, allowed, r.body["error"], "AADSTS%d", code)
	}
}

// Codes with an error that is known from answers of Entra ID or its documentation.
func TestErrorOfCodes(t *testing.T) {
	f := newFixture(t)
	for code, want := range map[int]string{
		50105: "invalid_grant", 501051: "invalid_grant", 500112: "invalid_grant", 65001: "invalid_grant",
		70025: "invalid_client", 700213: "invalid_client", 7002137: "invalid_client", 7000216: "invalid_client",
		7000229: "invalid_client", 7000272: "invalid_client",
		7000112: "unauthorized_client", 700016: "unauthorized_client",
		50076: "interaction_required", 50079: "interaction_required",
		90055: "temporarily_unavailable",
	} {
		f.srv.Fail(certtokentest.Fault{Code: code})
		r := f.post(f.form())
		assert.Equal(t, want, r.body["error"], "AADSTS%d", code)
		status := map[string]int{"invalid_client": 401, "temporarily_unavailable": 429}[want]
		if status == 0 {
			status = 400
		}
		assert.Equal(t, status, r.status, "AADSTS%d", code)
	}
}

// A generic server's descriptions speak of nothing that only Entra ID has, and
// never of this package's options.
func TestPlainDescriptions(t *testing.T) {
	other := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("other"))
	signedBy := func(cert *certtoken.Certificate) func(f *fixture, d *draft) {
		return func(_ *fixture, d *draft) { d.header["x5t#S256"], d.key = "AAAA", cert.Signer }
	}
	tests := map[string]struct {
		spoil func(f *fixture, d *draft)
		form  url.Values // in place of the good one's
		want  string
	}{
		"audience": {spoil: func(_ *fixture, d *draft) { d.claims["aud"] = "https://a.example" },
			want: "The assertion's audience is 'https://a.example', and must be 'https://issuer.example'."},
		"typ": {spoil: func(_ *fixture, d *draft) { d.header["typ"] = "x" },
			want: "Invalid JWT token. JWT token typ header value 'x' is not supported. " +
				"Supported values: 'JWT, client-authentication+jwt, (none)'."},
		"no aud": {spoil: func(_ *fixture, d *draft) { delete(d.claims, "aud") },
			want: "The assertion has no 'aud'."},
		"no iss": {spoil: func(_ *fixture, d *draft) { delete(d.claims, "iss") },
			want: "The assertion has no 'iss'."},
		"not registered": {spoil: signedBy(other)},
		"bad signature":  {spoil: func(_ *fixture, d *draft) { d.spoil = replacePart(1, `{"aud":"x"}`) }},
		"bad x5c": {spoil: func(f *fixture, d *draft) {
			f.srv.TrustSubject(clientID, "app", other.Leaf)
			f.srv.Unregister(clientID, f.cert.Leaf)
			signedBy(other)(f, d)
		}},
		"alg": {spoil: func(_ *fixture, d *draft) {
			d.method, d.key = jwt.SigningMethodNone,
				jwt.UnsafeAllowNoneSignatureType
		}},
		"replay": {spoil: func(f *fixture, d *draft) { d.claims["jti"] = "again"; f.post(f.formOf(d)) },
			want: "An assertion with this 'jti' was used before."},
		"unknown client": {form: url.Values{"client_id": {"nobody"}}, want: "The client 'nobody' is unknown."},
		"no assertion": {form: url.Values{"client_assertion": nil},
			want: "The request must contain 'client_assertion' and 'client_assertion_type'."},
		"scope":    {form: url.Values{"scope": {"y"}}},
		"no grant": {form: url.Values{"grant_type": nil}},
		"secret":   {form: url.Values{"client_secret": {"s"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, certtokentest.WithIssuer("https://issuer.example"), certtokentest.WithScopes("x"))
			d := f.draft()
			d.claims["aud"] = "https://issuer.example"
			if tt.spoil != nil {
				tt.spoil(f, d)
			}
			form := f.formOf(d)
			form.Set("scope", "x")
			for parameter, values := range tt.form {
				form[parameter] = values
			}
			r := f.post(form)
			require.NotEqual(t, 200, r.status)
			description, _ := r.body["error_description"].(string)
			if tt.want != "" {
				assert.Equal(t, tt.want, description)
			}
			assert.NotEmpty(t, description)
			thumbprint := d.header["x5t#S256"].(string) // a random text, in which any word may stand
			assert.NotRegexp(t, `(?i)AADSTS|azure|portal|realm|microsoft|tenant|directory|With[A-Z]`,
				strings.ReplaceAll(description, thumbprint, "…"))
			assert.Equal(t, description, f.srv.LastRequest().Description, "what is recorded is what was answered")
		})
	}
}

// Entra ID's descriptions don't speak of this package's options either.
func TestReplayNamesNoOption(t *testing.T) {
	f := newFixture(t)
	form := f.form()
	require.Equal(t, 200, f.post(form).status)
	r := f.post(form)
	require.Equal(t, 50027, r.code(), r.text)
	assert.Contains(t, r.text, "was used before")
	assert.NotContains(t, r.text, "WithReplayAllowed")
}

func (f *fixture) formOf(d *draft) url.Values {
	f.t.Helper()
	form := f.form()
	form.Set("client_assertion", d.sign(f.t))
	return form
}

// RFC 6749 §5.2: who came with an Authorization header is told of a scheme.
func TestAuthorizationHeaderIsAnswered(t *testing.T) {
	f := newFixture(t)
	f.srv.Replace(clientID)
	form := f.form()
	form.Del("client_assertion")
	form.Del("client_id") // most clients put it into the header only
	req := tokenRequest(t, f.srv.TokenURL(), form)
	req.SetBasicAuth(clientID, "secret")
	r, err := f.do(req)
	require.NoError(t, err)
	assert.Equal(t, 401, r.status)
	assert.Equal(t, "Basic", r.header.Get("WWW-Authenticate"))
	assert.Equal(t, 7000215, r.code(), r.text)
	assert.Equal(t, clientID, f.srv.LastRequest().ClientID)
	assert.Empty(t, f.post(f.form()).header.Get("WWW-Authenticate"))
}
