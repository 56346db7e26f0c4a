package certtokentest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every way to spoil an assertion, and the code that Entra ID answers it with.
func TestRefusedAssertions(t *testing.T) {
	other := certtokentest.NewCertificate(t)
	tests := []struct {
		name  string
		spoil func(f *fixture, d *draft)
		code  int
		err   string
	}{
		{"not a JWT", func(_ *fixture, d *draft) { d.spoil = func(string) string { return "abc" } }, 50027,
			"invalid_client"},
		{"four parts", func(_ *fixture, d *draft) { d.spoil = func(s string) string { return s + ".x" } }, 50027,
			"invalid_client"},
		{"padded base64", func(_ *fixture, d *draft) { d.spoil = func(s string) string { return s + "==" } }, 50027,
			"invalid_client"},
		{"null claims", func(_ *fixture, d *draft) { d.spoil = replacePart(1, "null") }, 700027, "invalid_client"},
		{"null header", func(_ *fixture, d *draft) { d.spoil = replacePart(0, "null") }, 5002738, "invalid_client"},
		{"header is a list", func(_ *fixture, d *draft) { d.spoil = replacePart(0, "[]") }, 50027, "invalid_client"},
		{"no key identifier", func(_ *fixture, d *draft) { delete(d.header, "x5t#S256") }, 5002723, "invalid_client"},
		{"alg none", unsigned, 5002738, "invalid_client"},
		{"alg HS256 with the public key", bySharedSecret, 5002738, "invalid_client"},
		{"alg unknown", func(_ *fixture, d *draft) { d.header["alg"] = "XX1" }, 5002738, "invalid_client"},
		{"alg not known to be taken", func(_ *fixture, d *draft) { d.method = jwt.SigningMethodPS512 }, 5002738,
			"invalid_client"},
		{"typ of another server", func(_ *fixture, d *draft) { d.header["typ"] = "client-authentication+jwt" },
			5002727, "invalid_client"},
		{"jku", func(_ *fixture, d *draft) { d.header["jku"] = "https://keys.example/" }, 5002726, "invalid_request"},
		{"cty", func(_ *fixture, d *draft) { d.header["cty"] = "JWT" }, 5002726, "invalid_request"},
		{"certificate not registered", func(_ *fixture, d *draft) {
			d.key, d.header["x5t#S256"] = other.Signer, "AAAA"
		}, 700027, "invalid_client"},
		{"signed by another key", func(_ *fixture, d *draft) { d.key = other.Signer }, 700027, "invalid_client"},
		{"claims changed after signing", func(_ *fixture, d *draft) {
			d.spoil = replacePart(1, `{"aud":"x"}`)
		}, 700027, "invalid_client"},
		{"signature for another alg", func(_ *fixture, d *draft) { d.header["alg"] = "RS256" }, 700027,
			"invalid_client"},
		{"no aud", func(_ *fixture, d *draft) { delete(d.claims, "aud") }, 90014, "invalid_request"},
		{"aud is a list", func(f *fixture, d *draft) { d.claims["aud"] = []string{f.srv.TokenURL()} }, 50027,
			"invalid_client"},
		{"aud is a number", func(_ *fixture, d *draft) { d.claims["aud"] = 1 }, 50027, "invalid_client"},
		{"aud of the v1 endpoint", func(f *fixture, d *draft) {
			d.claims["aud"] = strings.Replace(f.srv.TokenURL(), "/v2.0", "", 1)
		}, 700023, "invalid_client"},
		{"aud of another cloud", func(_ *fixture, d *draft) {
			d.claims["aud"] = "https://login.microsoftonline.us/" + certtokentest.DefaultTenant + "/oauth2/v2.0/token"
		}, 700023, "invalid_client"},
		{"aud is the issuer", func(f *fixture, d *draft) { d.claims["aud"] = f.srv.Issuer() }, 700023,
			"invalid_client"},
		{"no iss", func(_ *fixture, d *draft) { delete(d.claims, "iss") }, 90014, "invalid_request"},
		{"no sub", func(_ *fixture, d *draft) { delete(d.claims, "sub") }, 90014, "invalid_request"},
		{"another iss", func(_ *fixture, d *draft) { d.claims["iss"] = "x" }, 700021, "invalid_client"},
		{"another sub", func(_ *fixture, d *draft) { d.claims["sub"] = "x" }, 700021, "invalid_client"},
		{"expired", func(_ *fixture, d *draft) { d.claims["exp"] = time.Now().Add(-10 * time.Second).Unix() }, 700024,
			"invalid_client"},
		{"not yet valid", func(_ *fixture, d *draft) { d.claims["nbf"] = time.Now().Add(time.Minute).Unix() }, 700024,
			"invalid_client"},
		{"issued in the future", func(_ *fixture, d *draft) { d.claims["iat"] = time.Now().Add(time.Minute).Unix() },
			700024, "invalid_client"},
		{"ends in a year", func(_ *fixture, d *draft) { d.claims["exp"] = time.Now().AddDate(1, 0, 0).Unix() },
			700024, "invalid_client"},
		{"no exp", func(_ *fixture, d *draft) { delete(d.claims, "exp") }, 50027, "invalid_client"},
		{"exp is a string", func(_ *fixture, d *draft) { d.claims["exp"] = "4102444800" }, 50027, "invalid_client"},
		{"nbf is a string", func(_ *fixture, d *draft) { d.claims["nbf"] = "0" }, 50027, "invalid_client"},
		{"no jti", func(_ *fixture, d *draft) { delete(d.claims, "jti") }, 50027, "invalid_client"},
		{"jti is too long", func(_ *fixture, d *draft) { d.claims["jti"] = strings.Repeat("x", 2000) }, 50027,
			"invalid_client"},
		{"jti is a number", func(_ *fixture, d *draft) { d.claims["jti"] = 7 }, 50027, "invalid_client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				d := f.draft()
				tt.spoil(f, d)
				form := f.form()
				form.Set("client_assertion", d.sign(t))
				r := f.post(form)
				assert.Equal(t, tt.code, r.code(), r.text)
				assert.Equal(t, tt.err, r.body["error"])
				assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnauthorized}, r.status)
				assert.Empty(t, r.token())
				assert.Equal(t, tt.code, f.srv.LastRequest().Code)
				assert.Zero(t, f.srv.CountGranted())
			})
		})
	}
}

func unsigned(_ *fixture, d *draft) {
	d.method, d.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
}

func bySharedSecret(f *fixture, d *draft) { d.method, d.key = jwt.SigningMethodHS256, f.cert.Leaf.Raw }

// replacePart puts other JSON into a signed JWT.
func replacePart(i int, json string) func(string) string {
	return func(signed string) string {
		parts := strings.Split(signed, ".")
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(json))
		return strings.Join(parts, ".")
	}
}

// What real clients are known to send is accepted.
func TestAcceptedAssertions(t *testing.T) {
	tests := []struct {
		name  string
		bring func(f *fixture, d *draft)
	}{
		{"x5t#S256", func(*fixture, *draft) {}},
		{"x5t#S256 in padded standard base64", func(_ *fixture, d *draft) {
			raw, _ := base64.RawURLEncoding.DecodeString(d.header["x5t#S256"].(string))
			d.header["x5t#S256"] = base64.StdEncoding.EncodeToString(raw)
		}},
		{"x5t", func(f *fixture, d *draft) { d.header = map[string]any{"typ": "JWT", "x5t": sha1Thumbprint(f.cert)} }},
		{"kid", func(f *fixture, d *draft) { d.header = map[string]any{"typ": "JWT", "kid": sha1Thumbprint(f.cert)} }},
		{"kid in hex", func(f *fixture, d *draft) {
			raw, _ := base64.RawURLEncoding.DecodeString(sha1Thumbprint(f.cert))
			d.header = map[string]any{"typ": "JWT", "kid": strings.ToUpper(hexOf(raw))}
		}},
		{"kid by agreement", func(f *fixture, d *draft) {
			f.srv.RegisterKeyID(clientID, "my-key", f.cert.Leaf)
			d.header = map[string]any{"typ": "JWT", "kid": "my-key"}
		}},
		{"no typ", func(_ *fixture, d *draft) { delete(d.header, "typ") }},
		{"typ in lower case", func(_ *fixture, d *draft) { d.header["typ"] = "jwt" }},
		{"RS256", func(_ *fixture, d *draft) { d.method = jwt.SigningMethodRS256 }},
		{"RS384", func(_ *fixture, d *draft) { d.method = jwt.SigningMethodRS384 }},
		{"RS512", func(_ *fixture, d *draft) { d.method = jwt.SigningMethodRS512 }},
		{"nbf rounded up", func(_ *fixture, d *draft) { d.claims["nbf"] = time.Now().Unix() + 1 }},
		{"no nbf, no iat", func(_ *fixture, d *draft) { delete(d.claims, "nbf"); delete(d.claims, "iat") }},
		{"further claims", func(_ *fixture, d *draft) { d.claims["xms_x"] = map[string]any{"y": 1} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			d := f.draft()
			tt.bring(f, d)
			form := f.form()
			form.Set("client_assertion", d.sign(t))
			r := f.post(form)
			assert.Equal(t, http.StatusOK, r.status, r.text)
			assert.True(t, f.cert.Leaf.Equal(f.srv.LastRequest().Certificate))
		})
	}
}

func hexOf(raw []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range raw {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestEveryAlgorithmOfAssertion(t *testing.T) {
	all := []certtoken.Algorithm{certtoken.RS256, certtoken.RS384, certtoken.RS512, certtoken.PS256, certtoken.PS384,
		certtoken.PS512}
	f := newFixture(t, certtokentest.WithAlgorithms(all...))
	for _, alg := range all {
		t.Run(string(alg), func(t *testing.T) {
			a := certtoken.Assertion{ClientID: clientID, Audience: f.srv.TokenURL(), Algorithm: alg,
				Thumbprint: certtoken.ThumbprintBoth, SendChain: true}
			signed, err := a.Sign(t.Context(), f.cert)
			require.NoError(t, err)
			form := f.form()
			form.Set("client_assertion", signed)
			r := f.post(form)
			assert.Equal(t, http.StatusOK, r.status, r.text)
			last := f.srv.LastRequest()
			assert.Equal(t, string(alg), last.AssertionHeader["alg"])
			assert.Equal(t, clientID, last.AssertionClaims["iss"])
		})
	}
}

func TestCertificateOutsideItsValidity(t *testing.T) {
	now := time.Now()
	for name, cert := range map[string]*certtoken.Certificate{
		"expired": certtokentest.NewCertificate(t,
			certtokentest.WithValidity(now.Add(-2*time.Hour), now.Add(-time.Hour)), certtokentest.WithSharedKey()),
		"not yet valid": certtokentest.NewCertificate(t,
			certtokentest.WithValidity(now.Add(time.Hour), now.Add(2*time.Hour)), certtokentest.WithSharedKey()),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.cert = cert
			f.srv.Register(clientID, cert.Leaf)
			assert.Equal(t, 1000502, f.post(f.form()).code())
		})
	}
}

func TestReplay(t *testing.T) {
	f := newFixture(t)
	form := f.form()
	assert.Equal(t, http.StatusOK, f.post(form).status)
	r := f.post(form)
	assert.Equal(t, 50027, r.code())
	assert.Equal(t, "invalid_client", r.body["error"])
	f.srv.Reset()
	assert.Equal(t, http.StatusOK, f.post(form).status)

	t.Run("in another request", func(t *testing.T) {
		for name, c := range map[string]struct {
			opts []certtokentest.Option
			want int
		}{
			"Entra ID, as MSAL does": {want: http.StatusOK},
			"a generic server": {opts: []certtokentest.Option{certtokentest.WithIssuer("")},
				want: http.StatusUnauthorized},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, c.opts...)
				d, form := f.draft(), f.form()
				if len(c.opts) > 0 {
					d.claims["aud"] = f.srv.Issuer()
				}
				form.Set("client_assertion", d.sign(t))
				assert.Equal(t, http.StatusOK, f.post(form).status)
				form.Set("scope", "https://another.example/.default")
				assert.Equal(t, c.want, f.post(form).status)
			})
		}
	})
	t.Run("an assertion that was refused is not used up", func(t *testing.T) {
		f := newFixture(t)
		form := f.form()
		f.srv.SetClockOffset(-time.Hour)
		assert.Equal(t, 700024, f.post(form).code())
		f.srv.SetClockOffset(0)
		assert.Equal(t, http.StatusOK, f.post(form).status)
	})
	t.Run("allowed", func(t *testing.T) {
		f := newFixture(t, certtokentest.WithReplayAllowed())
		form := f.form()
		assert.Equal(t, http.StatusOK, f.post(form).status)
		assert.Equal(t, http.StatusOK, f.post(form).status)
	})
}

func TestRegistration(t *testing.T) {
	old, next := certtokentest.NewCertificate(t), certtokentest.NewCertificate(t)
	code := func(f *fixture, cert *certtoken.Certificate) int {
		f.cert = cert
		return f.post(f.form()).code()
	}
	f := newFixture(t)
	f.srv.Unregister(clientID)
	assert.Equal(t, 700016, code(f, old), "no client")
	f.srv.Register(clientID)
	assert.Equal(t, 700027, code(f, old), "no certificate")
	f.srv.Register(clientID, old.Leaf)
	f.srv.Register(clientID, old.Leaf, next.Leaf)
	assert.Zero(t, code(f, old))
	assert.Zero(t, code(f, next))
	f.srv.Replace(clientID, next.Leaf)
	assert.Equal(t, 700027, code(f, old))
	assert.Zero(t, code(f, next))
	f.srv.Unregister(clientID, next.Leaf)
	assert.Equal(t, 700027, code(f, next))
	f.srv.Unregister("nobody", next.Leaf)
}

func TestSubjectNameIssuerTrust(t *testing.T) {
	root := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("root"))
	middle := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("middle"),
		certtokentest.SignedBy(root))
	issue := func(subject string, opts ...certtokentest.CertOption) *certtoken.Certificate {
		opts = append([]certtokentest.CertOption{certtokentest.WithSubject(subject), certtokentest.SignedBy(middle),
			certtokentest.WithSharedKey()}, opts...)
		return certtokentest.NewCertificate(t, opts...)
	}
	stranger := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("root"))
	now := time.Now()
	tests := []struct {
		name   string
		cert   *certtoken.Certificate
		noX5C  bool
		code   int
		change func(header map[string]any)
	}{
		{name: "issued", cert: issue("app.example.com")},
		{name: "renewed", cert: issue("app.example.com")},
		{name: "another subject", cert: issue("other.example.com"), code: 700030},
		{name: "another issuer",
			cert: certtokentest.NewCertificate(t, certtokentest.WithSubject("app.example.com"),
				certtokentest.SignedBy(stranger)), code: 700027},
		{name: "self-signed", cert: certtokentest.NewCertificate(t, certtokentest.WithSubject("app.example.com")),
			code: 700027},
		{name: "without x5c", cert: issue("app.example.com"), noX5C: true, code: 700027},
		{name: "x5c is a string", cert: issue("app.example.com"), code: 700027,
			change: func(h map[string]any) { h["x5c"] = "MII" }},
		{name: "x5c isn't base64", cert: issue("app.example.com"), code: 700027,
			change: func(h map[string]any) { h["x5c"] = []string{"!"} }},
		{name: "x5c is too long", cert: issue("app.example.com"), code: 700027, change: func(h map[string]any) {
			h["x5c"] = append(h["x5c"].([]string), slices.Repeat(h["x5c"].([]string), 4)...)
		}},
		{name: "x5c isn't DER", cert: issue("app.example.com"), code: 700027,
			change: func(h map[string]any) { h["x5c"] = []string{"AAAA"} }},
		{name: "thumbprint of another", cert: issue("app.example.com"), code: 700027,
			change: func(h map[string]any) { h["x5t#S256"] = "AAAA" }},
		{name: "expired",
			cert: issue("app.example.com",
				certtokentest.WithValidity(now.Add(-2*time.Hour), now.Add(-time.Hour))), code: 1000502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.srv.TrustSubject(clientID, "app.example.com", root.Leaf)
			f.cert = tt.cert
			d := f.draft()
			if !tt.noX5C {
				chain := []string{base64.StdEncoding.EncodeToString(tt.cert.Leaf.Raw)}
				for _, c := range tt.cert.Chain {
					chain = append(chain, base64.StdEncoding.EncodeToString(c.Raw))
				}
				d.header["x5c"] = chain
			}
			if tt.change != nil {
				tt.change(d.header)
			}
			form := f.form()
			form.Set("client_assertion", d.sign(t))
			r := f.post(form)
			assert.Equal(t, tt.code, r.code(), r.text)
		})
	}
	t.Run("by certtoken", func(t *testing.T) {
		f := newFixture(t)
		f.srv.Replace(clientID)
		f.srv.TrustSubject(clientID, "CN=app.example.com", root.Leaf)
		f.cert = issue("app.example.com")
		_, err := f.client(f.srv.Authority(certtoken.WithX5C())).Token(t.Context(), graphScope)
		assert.NoError(t, err)
	})
}

func TestLeewayAndClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, certtokentest.WithLeeway(time.Minute), certtokentest.WithClockOffset(-30*time.Second))
		assert.Equal(t, http.StatusOK, f.post(f.form()).status, "within the leeway")
		f.srv.SetClockOffset(-2 * time.Minute)
		r := f.post(f.form())
		assert.Equal(t, 700024, r.code())
		date, err := http.ParseTime(r.header.Get("Date"))
		require.NoError(t, err)
		assert.True(t, time.Now().Add(-2*time.Minute).Equal(date), date)
		f.srv.SetClockOffset(10 * time.Minute)
		assert.Equal(t, 700024, f.post(f.form()).code(), "expired by the server's clock")
	})
}

func TestErrorBodyIsEntras(t *testing.T) {
	f := newFixture(t)
	form := f.form()
	form.Set("scope", "User.Read")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.srv.TokenURL(),
		strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("client-request-id", "11111111-2222-4333-8444-555555555555")
	r, err := f.do(req)
	require.NoError(t, err)
	var e struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Timestamp     string `json:"timestamp"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
		URI           string `json:"error_uri"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.text), &e))
	assert.Equal(t, "invalid_scope", e.Error)
	assert.Regexp(t, `^AADSTS1002012: .*User\.Read.* Trace ID: .* Correlation ID: .* Timestamp: `, e.Description)
	assert.Equal(t, []int{1002012}, e.Codes)
	assert.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`, e.Timestamp)
	assert.Regexp(t, `^[0-9a-f-]{36}$`, e.TraceID)
	assert.Equal(t, "11111111-2222-4333-8444-555555555555", e.CorrelationID)
	assert.Contains(t, e.URI, "1002012")
	assert.Equal(t, e.CorrelationID, r.header.Get("client-request-id"))
	assert.Equal(t, "no-store", r.header.Get("Cache-Control"))
	assert.Equal(t, "application/json; charset=utf-8", r.header.Get("Content-Type"))
}
