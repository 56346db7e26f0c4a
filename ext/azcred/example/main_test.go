package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// The program as it is, with a token endpoint and a resource manager on this
// machine.
func TestRun(t *testing.T) {
	const tenant = "00000000-0000-0000-0000-000000000001"
	srv := certtokentest.NewServer(t, certtokentest.WithTenants(tenant))
	cert := certtokentest.NewCertificate(t)
	srv.Register("client-id", cert.Leaf)
	manager := srv.Resource("https://management.core.windows.net/",
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Query().Get("page") == "" {
				fmt.Fprint(w, `{"value":[{"subscriptionId":"1","displayName":"Production"}],`+
					`"nextLink":"https://management.azure.com/subscriptions?page=2"}`)
				return
			}
			fmt.Fprint(w, `{"value":[{"subscriptionId":"2"}]}`)
		}))
	srv.Handle("management.azure.com/", manager)
	dir := t.TempDir()
	files, err := selfsigned.WriteFiles(dir, cert, "password", selfsigned.WriteOptions{})
	require.NoError(t, err)

	s := settings{tenant: tenant, clientID: "client-id", cert: files.PFX, password: "password"}
	var out strings.Builder
	require.NoError(t, run(t.Context(), s, srv.Client(), &out))
	assert.Equal(t, "1 Production\n2 -\n2 subscriptions\n", out.String())
	assert.Equal(t, 1, srv.Count())

	s.clientID = "another"
	assert.ErrorContains(t, run(t.Context(), s, srv.Client(), &out), "app registration")
	s.cert = filepath.Join(dir, "none.pfx")
	assert.Error(t, run(t.Context(), s, srv.Client(), &out))
	s.tenant = "common"
	assert.Error(t, run(t.Context(), s, srv.Client(), &out))
}
