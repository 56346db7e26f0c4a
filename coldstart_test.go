package certtoken_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// The first token of a process takes one connection and one request: nothing is
// discovered, probed or fetched before. It is measured where a program of its own would
// see it, at a server with TLS, for Entra ID and for another server.
func TestAColdStartIsOneRequest(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	file := filepath.Join(t.TempDir(), "client.pem")
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	for name, c := range map[string]struct {
		authority certtoken.Authority
		path      string
	}{
		"Entra ID":       {certtoken.Entra("contoso.com"), "/contoso.com/oauth2/v2.0/token"},
		"another server": {certtoken.Issuer("https://as.example.com", "https://as.example.com/token"), "/token"},
	} {
		t.Run(name, func(t *testing.T) {
			var connections, requests atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				assert.Equal(t, http.MethodPost+" "+c.path, r.Method+" "+r.URL.Path)
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"abc","token_type":"Bearer","expires_in":3600}`))
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.ServerName = "example.com" // the name in httptest's certificate
			transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			}
			defer transport.CloseIdleConnections()
			client, err := certtoken.NewClient(c.authority, appID, certtoken.CertFile(file),
				certtoken.WithHTTPClient(&http.Client{Transport: transport}), patiently())
			require.NoError(t, err)
			defer client.Close()
			assert.Zero(t, connections.Load(), "before it is asked for a token")
			_, err = client.Token(t.Context(), graph)
			require.NoError(t, err)
			for range 10 {
				_, err = client.Token(t.Context(), graph)
				require.NoError(t, err)
			}
			assert.EqualValues(t, 1, connections.Load(), "connections")
			assert.EqualValues(t, 1, requests.Load(), "requests")
		})
	}
}
