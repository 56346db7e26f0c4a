package certtokentest_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
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
	for name, opts := range map[string][]certtokentest.Option{"JWT": nil, "opaque": {certtokentest.WithOpaqueTokens()}} {
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

func TestResourceAnswersThroughNext(t *testing.T) {
	f := newFixture(t)
	f.srv.Handle("api.example.com/", f.srv.Resource(graphScope, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
