package certtokentest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type fields = map[string]any

// What servers answer when they grant a token beyond doubt, and in odd ways.
func TestOddGrants(t *testing.T) {
	text := func(name string) func(fields) { return func(f fields) { f[name] = f[name].(string) + "\r\n" } }
	tests := map[string]struct {
		fault certtokentest.Fault
		check func(t *testing.T, r reply)
	}{
		"201": {certtokentest.Fault{Status: 201, Fields: fields{}}, func(t *testing.T, r reply) {
			assert.Equal(t, 201, r.status)
		}},
		"expires_in 0":     {certtokentest.Fault{Fields: fields{"expires_in": 0}}, hasField("expires_in", 0.)},
		"expires_in -1":    {certtokentest.Fault{Fields: fields{"expires_in": -1}}, hasField("expires_in", -1.)},
		"expires_in empty": {certtokentest.Fault{Fields: fields{"expires_in": ""}}, hasField("expires_in", "")},
		"expires_in null": {certtokentest.Fault{Fields: fields{"expires_in": json.RawMessage("null")}},
			hasField("expires_in", nil)},
		"expires_in is big": {certtokentest.Fault{Fields: fields{"expires_in": 1e12}}, hasField("expires_in", 1e12)},
		"only expires_on": {
			certtokentest.Fault{Fields: fields{"expires_in": nil, "ext_expires_in": nil, "expires_on": "4102444800"}},
			func(t *testing.T, r reply) {
				assert.NotContains(t, r.body, "expires_in")
				assert.Equal(t, "4102444800", r.body["expires_on"])
			},
		},
		"odd token type": {certtokentest.Fault{Fields: fields{"token_type": "access_token"}},
			hasField("token_type", "access_token")},
		"space after the type": {certtokentest.Fault{Rewrite: text("token_type")},
			hasField("token_type", "Bearer\r\n")},
		"line end after token": {certtokentest.Fault{Rewrite: text("access_token")},
			func(t *testing.T, r reply) { assert.True(t, strings.HasSuffix(r.token(), "\r\n")) }},
		"Rewrite comes last": {certtokentest.Fault{Fields: fields{"x": "1"}, Rewrite: text("x")},
			hasField("x", "1\r\n")},
		"numbers keep digits": {certtokentest.Fault{Fields: fields{}}, hasField("expires_in", 3599.)},
		"gzip that wasn't asked": {certtokentest.Fault{Shape: certtokentest.Gzipped}, func(t *testing.T, r reply) {
			assert.NotEmpty(t, r.token(), "net/http unpacks it")
		}},
		"byte order mark": {certtokentest.Fault{Shape: certtokentest.ByteOrderMark}, func(t *testing.T, r reply) {
			assert.True(t, strings.HasPrefix(r.text, "\uFEFF{"))
		}},
		"form": {certtokentest.Fault{Shape: certtokentest.FormEncoded}, func(t *testing.T, r reply) {
			form, err := url.ParseQuery(r.text)
			require.NoError(t, err)
			assert.Equal(t, "application/x-www-form-urlencoded; charset=utf-8", r.header.Get("Content-Type"))
			assert.NotEmpty(t, form.Get("access_token"))
			assert.Equal(t, "3599", form.Get("expires_in"))
		}},
		"raw body": {certtokentest.Fault{Body: `{"access_token":"opaque","token_type":"bearer"}`},
			func(t *testing.T, r reply) {
				assert.Equal(t, "opaque", r.token())
				assert.Equal(t, "application/json; charset=utf-8", r.header.Get("Content-Type"))
			}},
		"any body": {certtokentest.Fault{Body: "12345"}, func(t *testing.T, r reply) {
			assert.Equal(t, "12345", r.text)
		}},
		"no Date": {certtokentest.Fault{Header: http.Header{"Date": nil}}, func(t *testing.T, r reply) {
			assert.Empty(t, r.header.Values("Date"))
		}},
		"another Date": {certtokentest.Fault{Header: http.Header{"Date": {"yesterday"}}}, func(t *testing.T, r reply) {
			assert.Equal(t, "yesterday", r.header.Get("Date"))
		}},
	}
	eachForm(t, func(t *testing.T, f *fixture) {
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f.srv.Fail(tt.fault)
				r := f.post(f.form())
				assert.Less(t, r.status, 300, r.text)
				tt.check(t, r)
			})
		}
	})
}

func hasField(name string, want any) func(t *testing.T, r reply) {
	return func(t *testing.T, r reply) {
		assert.Equal(t, want, r.body[name])
		assert.Contains(t, r.body, name)
		assert.NotEmpty(t, r.token())
	}
}

// A client that asks for gzip itself gets the bytes.
func TestGzippedReachesWhoAsked(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		f.srv.Fail(certtokentest.Fault{Shape: certtokentest.Gzipped})
		req := tokenRequest(t, f.srv.TokenURL(), f.form())
		req.Header.Set("Accept-Encoding", "identity")
		r, err := f.do(req)
		require.NoError(t, err)
		assert.Equal(t, "gzip", r.header.Get("Content-Encoding"))
		assert.Equal(t, "\x1f\x8b", r.text[:2])
	})
}

// Every form of a refusal, by a fault and by the server.
func TestRefusalForms(t *testing.T) {
	const text = "The server was told to refuse this request."
	tests := []struct {
		name   string
		form   certtokentest.RefusalForm
		status int
		check  func(t *testing.T, r reply)
	}{
		{"bad request", certtokentest.RefusalBadRequest, 400,
			isJSON(fields{"error": "invalid_client", "error_description": text})},
		{"OK", certtokentest.RefusalOK, 200, isJSON(fields{"error": "invalid_client", "error_description": text})},
		{"empty", certtokentest.RefusalEmpty, 403, func(t *testing.T, r reply) { assert.Empty(t, r.text) }},
		{"challenge", certtokentest.RefusalChallenge, 401, func(t *testing.T, r reply) {
			assert.Empty(t, r.text)
			assert.Equal(t, `Bearer error="invalid_client", error_description="`+text+`"`,
				r.header.Get("WWW-Authenticate"))
		}},
		{"text", certtokentest.RefusalText, 401, func(t *testing.T, r reply) { assert.Equal(t, text+"\n", r.text) }},
		{"status", certtokentest.RefusalStatus, 401, isJSON(fields{"status": "error", "msg": text})},
		{"object", certtokentest.RefusalObject, 401,
			isJSON(fields{"error": fields{"code": "invalid_client", "message": text}})},
		{"list", certtokentest.RefusalList, 401,
			isJSON(fields{"errors": []any{fields{"code": "invalid_client", "message": text}}})},
		{"message", certtokentest.RefusalMessage, 401, isJSON(fields{"message": text})},
		{"problem", certtokentest.RefusalProblem, 401, func(t *testing.T, r reply) {
			assert.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
			assert.Equal(t, text, r.body["detail"])
		}},
		{"summary", certtokentest.RefusalSummary, 401, func(t *testing.T, r reply) {
			assert.Equal(t, "invalid_client", r.body["errorCode"])
			assert.Equal(t, text, r.body["errorSummary"])
		}},
		{"fault", certtokentest.RefusalFault, 401, isJSON(fields{"fault": fields{
			"faultstring": text, "detail": fields{"errorcode": "invalid_client"},
		}})},
		{"hint", certtokentest.RefusalHint, 401, func(t *testing.T, r reply) {
			assert.Equal(t, text, r.body["message"])
			assert.NotEmpty(t, r.body["hint"])
		}},
		{"unknown", certtokentest.RefusalUnknown, 500, isJSON(fields{
			"error": "error", "error_description": "The error is unrecognizable",
		})},
		{"page", certtokentest.RefusalPage, 200, func(t *testing.T, r reply) {
			assert.Contains(t, r.header.Get("Content-Type"), "text/html")
			assert.Regexp(t, `support ID is: \d+`, r.text)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, opts := range map[string][]certtokentest.Option{"Entra ID": nil,
				"issuer": {certtokentest.WithIssuer("")}} {
				t.Run(name, func(t *testing.T) {
					f := newFixture(t, opts...)
					f.srv.Fail(certtokentest.Fault{Code: 700027, Form: tt.form})
					r := f.post(f.form())
					assert.Equal(t, tt.status, r.status)
					tt.check(t, r)
					assert.Equal(t, "invalid_client", f.srv.LastRequest().Error)
				})
			}
			t.Run("of a certificate that isn't registered", func(t *testing.T) {
				f := newFixture(t, certtokentest.WithRefusalForm(tt.form))
				require.Equal(t, 200, f.post(f.form()).status, "what is granted is granted as before")
				f.srv.Replace(clientID)
				assert.Equal(t, tt.status, f.post(f.form()).status)
				assert.Equal(t, 700027, f.srv.LastRequest().Code)
				f.srv.SetRefusalForm(certtokentest.RefusalDefault)
				assert.Equal(t, 700027, f.post(f.form()).code())
			})
		})
	}
}

func isJSON(want fields) func(t *testing.T, r reply) {
	return func(t *testing.T, r reply) { assert.Equal(t, want, r.body) }
}

// What comes and goes, until its time is over.
func TestFailFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, certtokentest.WithOpaqueTokens())
		f.srv.FailFor(3*time.Minute, certtokentest.Fault{Code: 700016}, certtokentest.Fault{},
			certtokentest.Fault{Code: 700027})
		f.srv.Fail(certtokentest.Fault{Code: 90033})
		var got []int
		for range 6 {
			got = append(got, f.post(f.form()).code())
		}
		assert.Equal(t, []int{90033, 700016, 0, 700027, 700016, 0}, got)
		time.Sleep(3 * time.Minute)
		assert.Zero(t, f.post(f.form()).code())
		f.srv.FailFor(time.Hour, certtokentest.Fault{Code: 700213})
		f.srv.ClearFaults()
		assert.Zero(t, f.post(f.form()).code())
	})
}

func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.srv.Fail(certtokentest.Fault{Body: "12345", Drip: time.Second, BodyDelay: time.Minute})
		start := time.Now()
		resp, err := f.srv.Client().Do(tokenRequest(t, f.srv.TokenURL(), f.form()))
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "the header comes at once")
		n, err := resp.Body.Read(make([]byte, 100))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, time.Minute+time.Second, time.Since(start))
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "2345", string(rest))
		assert.Equal(t, time.Minute+5*time.Second, time.Since(start))
	})
}

func TestDripOverTLS(t *testing.T) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t)
	f.srv.Fail(certtokentest.Fault{Body: "12345", Drip: time.Millisecond})
	assert.Equal(t, "12345", f.post(f.form()).text)

	f.srv.Fail(certtokentest.Fault{Body: "12345", Drip: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := f.srv.Client().Do(tokenRequest(t, f.srv.TokenURL(), f.form()).WithContext(ctx))
	require.NoError(t, err, "the header comes at once")
	defer resp.Body.Close()
	cancel()
	_, err = resp.Body.Read(make([]byte, 1))
	assert.ErrorIs(t, err, context.Canceled)
}

// A RoundTripper that hangs past the end of its context, and lands late.
func TestIgnoreContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.srv.Fail(certtokentest.Fault{Delay: time.Hour, IgnoreContext: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		resp, err := f.srv.RoundTripper().RoundTrip(tokenRequest(t, f.srv.TokenURL(), f.form()).WithContext(ctx))
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, time.Hour, time.Since(start))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Contains(t, string(body), "access_token")
	})
}

// A pause that RFC 9110 doesn't know.
func TestOddRetryAfter(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{Status: 503, Header: http.Header{"Retry-After": {"1.0"}}})
	r := f.post(f.form())
	assert.Equal(t, 503, r.status)
	assert.Equal(t, "1.0", r.header.Get("Retry-After"))
}

// The end of a limit, in seconds since 1970.
func TestEndOfALimit(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{Status: 429, Header: http.Header{"X-Rate-Limit-Reset": {"1893456000"}}})
	r := f.post(f.form())
	assert.Equal(t, 429, r.status)
	assert.Equal(t, "1893456000", r.header.Get("X-Rate-Limit-Reset"))
	assert.Empty(t, r.header.Get("Retry-After"))
}

func TestDiscoveryFaults(t *testing.T) {
	f := newFixture(t, certtokentest.WithIssuer("https://id.example.com"))
	const place = "https://id.example.com/.well-known/oauth-authorization-server"
	f.srv.FailDiscovery(certtokentest.Fault{Status: 503})
	f.srv.FailDiscovery(
		certtokentest.Fault{Error: "server_error", Status: 500},
		certtokentest.Fault{Fields: fields{"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}}},
		certtokentest.Fault{Shape: certtokentest.ResetConnection},
	)
	assert.Equal(t, 200, f.postTo("https://id.example.com/token"), "token requests go on")
	r := f.get(place)
	assert.Equal(t, 503, r.status)
	assert.NotEmpty(t, r.header.Get("Date"))
	assert.Equal(t, "server_error", f.get(place).body["error"])
	assert.Equal(t, []any{"client_secret_basic"}, f.get(place).body["token_endpoint_auth_methods_supported"])
	_, err := f.do(mustRequest(t, place))
	require.Error(t, err)
	assert.Equal(t, []any{"private_key_jwt"}, f.get(place).body["token_endpoint_auth_methods_supported"])

	f.srv.FailDiscoveryFunc(func(r *certtokentest.Request) *certtokentest.Fault {
		if strings.HasSuffix(r.Path, "/smart-configuration") {
			return nil
		}
		return &certtokentest.Fault{Status: 404}
	})
	assert.Equal(t, 404, f.get(place).status)
	smart := f.get("https://id.example.com/.well-known/smart-configuration")
	assert.Contains(t, smart.body["capabilities"], "client-confidential-asymmetric")
	assert.Equal(t, "https://id.example.com/token", smart.body["token_endpoint"])
	f.srv.ClearFaults()
	assert.Equal(t, 200, f.get(place).status)
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

// postTo asks a server of WithIssuer for a token.
func (f *fixture) postTo(target string) int {
	f.t.Helper()
	d := f.draft()
	d.claims["aud"] = f.srv.Issuer()
	r, err := f.do(tokenRequest(f.t, target, f.formOf(d)))
	require.NoError(f.t, err)
	return r.status
}
