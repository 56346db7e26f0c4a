package certtokentest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What becomes of a family of refresh tokens when one comes again.
func TestReuseOfRefreshTokens(t *testing.T) {
	tests := map[string]struct {
		opts   []certtokentest.Option
		again  int // the status of the first refresh token, when it comes again
		newest int // and then of the newest
		call   int // and of the API, with the first access token
	}{
		"rotation":         {nil, 400, 200, 200},
		"reuse detection":  {[]certtokentest.Option{certtokentest.WithReuseDetection()}, 400, 400, 401},
		"without rotation": {[]certtokentest.Option{certtokentest.WithoutRefreshRotation()}, 200, 200, 200},
		"neither can happen": {[]certtokentest.Option{
			certtokentest.WithoutRefreshRotation(), certtokentest.WithReuseDetection(),
		}, 200, 200, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(tt.opts, certtokentest.WithIssuer(""))...)
			post := func(values url.Values) reply {
				d := f.draft()
				d.claims["aud"] = f.srv.Issuer()
				form := f.formOf(d)
				form.Del("scope")
				for name, v := range values {
					form[name] = v
				}
				return f.post(form)
			}
			refresh := func(token any) reply {
				return post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.(string)}})
			}
			first := post(url.Values{"grant_type": {"authorization_code"}, "code": {f.srv.AuthorizationCode(
				certtokentest.CodeRequest{ClientID: clientID, User: "ada",
					Scopes: []string{"read", "offline_access"}})}})
			require.Equal(t, 200, first.status, first.text)
			second := refresh(first.body["refresh_token"])
			require.Equal(t, 200, second.status, second.text)
			newest := first.body["refresh_token"]
			if token := second.body["refresh_token"]; token != nil {
				newest = token
			}
			assert.Equal(t, tt.again, refresh(first.body["refresh_token"]).status)
			assert.Equal(t, tt.newest, refresh(newest).status)

			api := f.srv.Resource("read", nil)
			call := httptest.NewRequestWithContext(t.Context(), http.MethodGet, f.srv.URL()+"/api", nil)
			call.Header.Set("Authorization", "Bearer "+second.body["access_token"].(string))
			w := httptest.NewRecorder()
			api.ServeHTTP(w, call)
			assert.Equal(t, tt.call, w.Code)
		})
	}
}
