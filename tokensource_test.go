package certtoken_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// handleRequests are requests that a handle can be made for.
func handleRequests() map[string]certtoken.Request {
	return map[string]certtoken.Request{
		"scopes":         {Scopes: []string{graph}},
		"tenant":         {Scopes: []string{graph}, Tenant: "fabrikam.com"},
		"parameters":     {Scopes: []string{graph}, Parameters: url.Values{"resource": {"urn:a", "urn:b"}}},
		"user":           {Scopes: []string{graph}, Grant: certtoken.OnBehalfOf("ada")},
		"least validity": {Scopes: []string{graph}, MinValidity: time.Minute},
		"user and all": {
			Scopes: []string{graph}, Tenant: "fabrikam.com", Grant: certtoken.OnBehalfOf("ada"),
			Parameters: url.Values{"a": {"1"}, "b": {"2"}}, MinValidity: time.Minute,
		},
	}
}

// A source for a request has the token that Acquire has, and its hits allocate nothing.
func TestTokenSourceFor(t *testing.T) {
	for name, req := range handleRequests() {
		t.Run(name, func(t *testing.T) {
			endpoint := &stub{life: 3600}
			client := newStubClient(t, endpoint, certtoken.WithTenants("fabrikam.com"))
			source, err := client.TokenSourceFor(req)
			require.NoError(t, err)
			first, err := source.Token()
			require.NoError(t, err)
			direct, err := client.Acquire(t.Context(), req)
			require.NoError(t, err)
			assert.Equal(t, direct.AccessToken(), first.AccessToken)
			assert.Zero(t, testing.AllocsPerRun(1000, func() {
				if again, err := source.Token(); err != nil || again != first {
					panic(name)
				}
			}))
			assert.EqualValues(t, 1, endpoint.requests.Load())
		})
	}
}

// The request is the handle's own: its maker may change what it gave.
func TestTokenSourceForKeepsItsRequest(t *testing.T) {
	r := newIssuerRig(t)
	req := certtoken.Request{Scopes: []string{"read"}, Parameters: url.Values{"audience": {"a"}}}
	source, err := r.client.TokenSourceFor(req)
	require.NoError(t, err)
	req.Scopes[0] = "write"
	req.Parameters["audience"][0] = "b"
	_, err = source.Token()
	require.NoError(t, err)
	form := r.server.LastRequest().Form
	assert.Equal(t, "read", form.Get("scope"))
	assert.Equal(t, "a", form.Get("audience"))
}

// A handle renews with the grant and the parameters that it was made for.
func TestTokenSourceForRenews(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		user := r.server.UserToken("ada", appID)
		source, err := r.client.TokenSourceFor(certtoken.Request{
			Scopes: []string{graph}, Grant: certtoken.OnBehalfOf(user), Parameters: url.Values{"a": {"1"}},
		})
		require.NoError(t, err)
		first, err := source.Token()
		require.NoError(t, err)
		time.Sleep(time.Until(first.Expiry) * 17 / 20)
		_, err = source.Token()
		require.NoError(t, err)
		synctest.Wait()
		second, err := source.Token()
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken, second.AccessToken)
		form := r.server.LastRequest().Form
		assert.Equal(t, user, form.Get("assertion"))
		assert.Equal(t, "1", form.Get("a"))
	})
}

// A token that is too short for the handle isn't handed out, also one that is cached.
func TestTokenSourceForALeastValidity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		source, err := r.client.TokenSourceFor(certtoken.Request{Scopes: []string{graph},
			MinValidity: 50 * time.Minute})
		require.NoError(t, err)
		_, err = source.Token()
		require.NoError(t, err)
		time.Sleep(15 * time.Minute)
		token, err := source.Token()
		require.NoError(t, err)
		assert.Greater(t, time.Until(token.Expiry), 50*time.Minute)
		assert.Equal(t, 2, r.server.Count())
	})
}

// singleUse are requests that no handle can be made for, with what the error says.
func singleUse(first *certtoken.Token) map[string]certtoken.Request {
	return map[string]certtoken.Request{
		"AuthorizationCode is redeemed once": {Grant: certtoken.AuthorizationCode("code", "", "")},
		"RefreshToken is redeemed once":      {Grant: certtoken.RefreshToken("token")},
		"the field Fresh":                    {Fresh: true},
		"the field Claims":                   {Claims: `{"access_token":{}}`},
		"the field Refused":                  {Refused: first},
		"the field CorrelationID":            {CorrelationID: "id"},
		"OnBehalfOf: the user's assertion":   {Grant: certtoken.OnBehalfOf("")},
		`tenant "evil.com" is not allowed`:   {Tenant: "evil.com"},
		`"scope" is set by the library`:      {Parameters: url.Values{"scope": {"x"}}},
		"MinValidity -1s is negative":        {MinValidity: -time.Second},
	}
}

func TestHandlesThatCantBeMade(t *testing.T) {
	r := newRig(t)
	first := r.token(t, graph)
	for want, req := range singleUse(first) {
		req.Scopes = []string{graph}
		_, err := r.client.TokenSourceFor(req)
		require.ErrorContains(t, err, want)
		assert.Regexp(t, "^certtoken: ", err)

		asked, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
		require.NoError(t, err)
		_, err = (&certtoken.Transport{Client: r.client, Request: req}).RoundTrip(asked)
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "certtoken: Transport: ")
	}
	_, err := new(certtoken.Client).TokenSourceFor(certtoken.Request{Scopes: []string{graph}})
	require.ErrorContains(t, err, "NewClient")
	assert.Equal(t, 1, r.server.Count())
}

// Requests by a Transport for a request with parameters have the token for these.
func TestTransportWithParameters(t *testing.T) {
	r := newIssuerRig(t)
	var got string
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got = req.Header.Get("Authorization")
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	req := certtoken.Request{Scopes: []string{"read"}, Parameters: url.Values{"audience": {"a"}}}
	transport := &certtoken.Transport{Client: r.client, Base: base, Request: req}
	resp, err := (&http.Client{Transport: transport}).Get(apiURL)
	assert.Equal(t, 200, status(t, resp, err))
	assert.Equal(t, "Bearer "+r.request(t, req).AccessToken(), got)
	assert.NotEqual(t, "Bearer "+r.token(t, "read").AccessToken(), got)
	assert.Equal(t, 2, r.server.Count())
}
