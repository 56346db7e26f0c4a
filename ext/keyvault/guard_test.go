package keyvault

import (
	"errors"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the guard passes on to the SDK's policies.
func TestGuard(t *testing.T) {
	lost := errors.New("connection lost")
	for _, test := range []struct {
		name, authorization string
		status              int
		header, want        string
		err                 error
	}{
		{name: "an error", err: lost},
		{
			name: "another status", status: http.StatusForbidden, header: `Bearer resource="http://x"`,
			want: `Bearer resource="http://x"`,
		},
		{name: "no challenge", status: http.StatusUnauthorized},
		{name: "a challenge", status: http.StatusUnauthorized,
			header: `Bearer authorization="https://evil.example/t/x" resource="https://vault.azure.net/"`,
			want:   `Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"`},
		{
			name: "a refused token", authorization: "Bearer x", status: http.StatusUnauthorized,
			header: `Bearer error="invalid_token"`,
		},
		{name: "claims", authorization: "Bearer x", status: http.StatusUnauthorized,
			header: `Bearer error="insufficient_claims", claims="e30="`,
			want:   `Bearer error="insufficient_claims", claims="e30="`},
	} {
		t.Run(test.name, func(t *testing.T) {
			pipeline := runtime.NewPipeline("test", "v0.0.0", runtime.PipelineOptions{}, &policy.ClientOptions{
				Retry:            policy.RetryOptions{MaxRetries: -1},
				PerRetryPolicies: []policy.Policy{challengeGuard{}},
				Transport: transport(func(req *http.Request) (*http.Response, error) {
					resp := &http.Response{
						StatusCode: test.status,
						Request:    req,
						Body:       http.NoBody,
						Header:     http.Header{},
					}
					if test.header != "" {
						resp.Header.Set(wwwAuthenticate, test.header)
					}
					return resp, test.err
				}),
			})
			req, err := runtime.NewRequest(t.Context(), http.MethodGet, fuzzedVault)
			require.NoError(t, err)
			if test.authorization != "" {
				req.Raw().Header.Set("Authorization", test.authorization)
			}
			resp, err := pipeline.Do(req)
			require.ErrorIs(t, err, test.err)
			if test.err == nil {
				assert.Equal(t, test.want, resp.Header.Get(wwwAuthenticate))
			}
		})
	}
}

// A user's policy may return an error of the SDK that holds no response.
func TestRefusalWithoutResponse(t *testing.T) {
	for _, refused := range []*azcore.ResponseError{
		{StatusCode: http.StatusForbidden, ErrorCode: "Forbidden"},
		{StatusCode: http.StatusForbidden, ErrorCode: "Forbidden", RawResponse: &http.Response{}},
	} {
		err := explain(readSecret, refused)
		assert.EqualError(t, err, "reading the secret: 403 Forbidden (Forbidden); "+
			"the credential needs secrets/get (role Key Vault Secrets User)")
	}
}
