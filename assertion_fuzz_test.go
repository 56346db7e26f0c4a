package certtoken_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
)

// FuzzClientAssertion gives foreign assertions to the endpoint for tests: each
// is refused, by an answer that a client can read and that repeats none of it.
func FuzzClientAssertion(f *testing.F) {
	files, err := filepath.Glob("testdata/assertionfile/*")
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(data))
	}
	for _, seed := range []string{
		"eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiIsIng1dCNTMjU2IjoiQSJ9.e30.QQ",
		"eyJhbGciOiJQUzI1NiIsIng1YyI6WyJBQUFBIl19.bnVsbA.QQ", "e30.e30.e30.e30.e30", "..",
	} {
		f.Add(seed)
	}
	cert, err := certtokentest.MakeCertificate(certtokentest.WithSharedKey())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, assertion string) {
		srv := certtokentest.New()
		srv.Register(appID, cert.Leaf)
		srv.TrustSubject(appID, "app", cert.Leaf)
		resp, err := srv.Client().PostForm(srv.URL()+"/contoso.com/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {appID}, "scope": {graph},
			"client_assertion_type": {
				"urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			}, "client_assertion": {assertion},
		})
		require.NoError(t, err)
		defer resp.Body.Close()
		var body strings.Builder
		require.NoError(t, resp.Write(&body))
		assert.Contains(t, []int{400, 401, 413}, resp.StatusCode)
		assert.Zero(t, srv.CountGranted())
		if len(assertion) > 60 {
			assert.NotContains(t, body.String(), assertion)
		}
	})
}
