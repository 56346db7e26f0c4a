package certtokentest_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const apiURL = "https://api.example.com/things"

func (f *fixture) call(token string) (int, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, apiURL, nil)
	require.NoError(f.t, err)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	r, err := f.do(req)
	require.NoError(f.t, err)
	return r.status, r.header.Get("WWW-Authenticate")
}

func TestResource(t *testing.T) {
	for name, opts := range map[string][]certtokentest.Option{"JWT": nil,
		"opaque": {certtokentest.WithOpaqueTokens()}} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, f *fixture) {
				api := f.srv.Resource("https://graph.microsoft.com", nil)
				f.srv.Handle("api.example.com/", api)
				token := f.post(f.form()).token()
				other := f.form()
				other.Set("scope", "https://vault.azure.net/.default")

				status, challenge := f.call("")
				assert.Equal(t, 401, status)
				assert.Equal(t, `Bearer realm="certtokentest"`, challenge)
				for _, bad := range []string{"Bearer x", "Basic " + token, "Bearer " + f.post(other).token()} {
					status, challenge = f.call(bad)
					assert.Equal(t, 401, status)
					assert.Contains(t, challenge, "Bearer ")
				}
				status, _ = f.call("bearer " + token)
				assert.Equal(t, 200, status)
				f.srv.SetClockOffset(2 * time.Hour)
				_, challenge = f.call("Bearer " + token)
				assert.Contains(t, challenge, "expired")
				f.srv.SetClockOffset(0)
				f.srv.Revoke(token)
				_, challenge = f.call("Bearer " + token)
				assert.Contains(t, challenge, `error="invalid_token"`)
				f.srv.RevokeAll()
				f.srv.Revoke("unknown")
				allowed, refused := api.Counts()
				assert.Equal(t, 1, allowed)
				assert.Equal(t, 6, refused)
			}, opts...)
		})
	}
}

// Which of two tokens would count is nobody's to guess.
func TestResourceRefusesTwoTokens(t *testing.T) {
	f := newFixture(t)
	f.srv.Handle("api.example.com/", f.srv.Resource("https://graph.microsoft.com", nil))
	req := mustRequest(t, apiURL)
	bearer := "Bearer " + f.post(f.form()).token()
	req.Header["Authorization"] = []string{bearer, bearer}
	r, err := f.do(req)
	require.NoError(t, err)
	assert.Equal(t, 401, r.status)
}

func TestResourceAnswersThroughNext(t *testing.T) {
	f := newFixture(t)
	f.srv.Handle("api.example.com/",
		f.srv.Resource(graphScope, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		})))
	status, _ := f.call("Bearer " + f.post(f.form()).token())
	assert.Equal(t, http.StatusTeapot, status)
}

func TestClaimsChallenge(t *testing.T) {
	f := newFixture(t)
	api := f.srv.Resource("https://graph.microsoft.com", nil)
	f.srv.Handle("api.example.com/", api)
	const wanted = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`
	api.Challenge(wanted)
	status, challenge := f.call("Bearer " + f.post(f.form()).token())
	assert.Equal(t, 401, status)
	assert.Contains(t, challenge, `error="insufficient_claims"`)
	_, rest, _ := strings.Cut(challenge, `claims="`)
	encoded, _, _ := strings.Cut(rest, `"`)
	claims, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	assert.JSONEq(t, wanted, string(claims))

	form := f.form()
	form.Set("claims", `{"access_token":{"nbf":{"essential":true,"value":"1604106651"},"xms_cc":{"values":["cp1"]}}}`)
	status, _ = f.call("Bearer " + f.post(form).token())
	assert.Equal(t, 200, status, "more may be asked for than is wanted")
	form = f.form()
	form.Set("claims", `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`)
	status, _ = f.call("Bearer " + f.post(form).token())
	assert.Equal(t, 401, status)
	form = f.form()
	form.Set("claims", `{"access_token":{}}`)
	status, _ = f.call("Bearer " + f.post(form).token())
	assert.Equal(t, 401, status, "less than is wanted")
	api.Challenge("")
	status, _ = f.call("Bearer " + f.post(f.form()).token())
	assert.Equal(t, 200, status)
}

// certtoken's Transport against the resource: revocation and challenge heal.
func TestResourceThroughTransport(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		api := f.srv.Resource("https://graph.microsoft.com", nil)
		f.srv.Handle("api.example.com/", api)
		client := f.client(certtoken.Entra("contoso.com"), certtoken.WithCapabilities("cp1"))
		hc := &http.Client{Transport: client.Transport(f.srv.Transport(), graphScope)}
		get := func() map[string]string {
			resp, err := hc.Get(apiURL)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
			var who map[string]string
			require.NoError(t, json.Unmarshal(body, &who))
			return who
		}
		assert.Equal(t, clientID, get()["client_id"])
		assert.Equal(t, "/things", get()["path"])
		assert.Equal(t, 1, f.srv.Count())
		f.srv.RevokeAll()
		get()
		assert.Equal(t, 2, f.srv.Count())
	})
}

func TestResourceRefuses(t *testing.T) {
	f := newFixture(t)
	api := f.srv.Resource("https://graph.microsoft.com", nil)
	f.srv.Handle("api.example.com/", api)
	bearer := "Bearer " + f.post(f.form()).token()
	var got []int
	collect := func(n int) {
		for range n {
			status, _ := f.call(bearer)
			got = append(got, status)
		}
	}
	api.Refuse(2)
	collect(3)
	api.Refuse(-1)
	collect(3)
	api.Refuse(0)
	collect(1)
	assert.Equal(t, []int{401, 401, 200, 401, 401, 401, 200}, got)
}

func TestResourceFaults(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true}}}`
	began := time.Now()
	huge := "Bearer " + strings.Repeat(`x="y", `, 5000) + `error="invalid_token"`
	tests := map[string]struct {
		fault  certtokentest.Fault
		status int
		check  func(t *testing.T, r reply)
	}{
		"invalid_token with claims, as Azure Resource Manager": {
			certtokentest.Fault{Error: "invalid_token", Claims: claims, Description: `a "word"`}, 401,
			func(t *testing.T, r reply) {
				challenge := r.header.Get("WWW-Authenticate")
				assert.Contains(t, challenge, `error="invalid_token", error_description="a \"word\""`)
				assert.Contains(t, challenge, `claims="`+base64.StdEncoding.EncodeToString([]byte(claims))+`"`)
			},
		},
		"insufficient_scope": {certtokentest.Fault{Error: "insufficient_scope"}, 403, func(t *testing.T, r reply) {
			assert.Contains(t, r.header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
		}},
		"another status": {certtokentest.Fault{Error: "invalid_token", Status: 403}, 403, nil},
		"absurd challenges": {
			certtokentest.Fault{Status: 401,
				Header: http.Header{"Www-Authenticate": {huge, huge, "Bearer claims=%%"}}}, 401,
			func(t *testing.T, r reply) { assert.Len(t, r.header.Values("WWW-Authenticate"), 3) },
		},
		"raw": {certtokentest.Fault{Status: 502, Body: "<html>bad gateway</html>"}, 502, func(t *testing.T, r reply) {
			assert.Equal(t, "<html>bad gateway</html>", r.text)
			assert.Contains(t, r.header.Get("Content-Type"), "text/html")
		}},
		"throttled": {certtokentest.Fault{Status: 429, RetryAfter: time.Minute, RetryDate: true}, 429,
			func(t *testing.T, r reply) {
				until, err := http.ParseTime(r.header.Get("Retry-After"))
				require.NoError(t, err)
				isFromNow(t, began, time.Minute, until)
			}},
		"slow": {certtokentest.Fault{Delay: time.Millisecond, Drip: time.Microsecond}, 200,
			func(t *testing.T, r reply) {
				assert.Equal(t, clientID, r.body["client_id"])
			}},
		"another field": {certtokentest.Fault{Fields: map[string]any{"path": "x"}}, 200, func(t *testing.T, r reply) {
			assert.Equal(t, "x", r.body["path"])
		}},
	}
	eachForm(t, func(t *testing.T, f *fixture) {
		api := f.srv.Resource("https://graph.microsoft.com", nil)
		f.srv.Handle("api.example.com/", api)
		bearer := "Bearer " + f.post(f.form()).token()
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				api.Fail(tt.fault)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
				require.NoError(t, err)
				req.Header.Set("Authorization", bearer)
				r, err := f.do(req)
				require.NoError(t, err)
				assert.Equal(t, tt.status, r.status, r.text)
				if tt.check != nil {
					tt.check(t, r)
				}
				status, _ := f.call(bearer)
				assert.Equal(t, 200, status, "one fault, one request")
			})
		}
		api.FailFunc(func(r *http.Request) *certtokentest.Fault {
			if r.URL.Path == "/things" {
				return &certtokentest.Fault{Status: 404}
			}
			return nil
		})
		status, _ := f.call(bearer)
		assert.Equal(t, 404, status)
		api.FailFunc(nil)
		allowed, refused := api.Counts()
		assert.Equal(t, []int{10, 7}, []int{allowed, refused}, "let through and refused")
	})
}

// A refused request whose body never ends in time.
func TestResourceDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		api := f.srv.Resource("https://graph.microsoft.com", nil)
		f.srv.Handle("api.example.com/", api)
		api.Fail(certtokentest.Fault{Error: "invalid_token", Drip: time.Minute})
		start := time.Now()
		resp, err := f.srv.Client().Get(apiURL)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, 401, resp.StatusCode)
		assert.Zero(t, time.Since(start), "the header comes at once")
		n, err := resp.Body.Read(make([]byte, 100))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestChallengeWithAnotherError(t *testing.T) {
	f := newFixture(t)
	api := f.srv.Resource("https://graph.microsoft.com", nil)
	f.srv.Handle("api.example.com/", api)
	const wanted = `{"access_token":{"nbf":{"essential":true}}}`
	api.ChallengeWith("invalid_token", wanted)
	status, challenge := f.call("Bearer " + f.post(f.form()).token())
	assert.Equal(t, 401, status)
	assert.Contains(t, challenge, `error="invalid_token"`)
	assert.Contains(t, challenge, `claims="`)
	form := f.form()
	form.Set("claims", wanted)
	status, _ = f.call("Bearer " + f.post(form).token())
	assert.Equal(t, 200, status)
}
