package certtokentest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

// docs/testing.md: a service that rotates its own certificate, for a quarter of a year.
func TestDocumentedRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.pem")
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		cert, err := selfsigned.New(selfsigned.Options{Validity: 90 * day})
		require.NoError(t, err)
		pem, err := selfsigned.EncodePEM(cert)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, pem, 0o600))

		srv := certtokentest.New(certtokentest.WithGraph(certtokentest.GraphRules{
			Propagation: 5 * time.Minute, Servers: 3, Permitted: []string{"client-id"},
		}))
		srv.Register("client-id", cert.Leaf)
		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", certtoken.CertFile(path),
			certtoken.WithHTTPClient(srv.Client()))
		require.NoError(t, err)
		defer client.Close()
		object := certtokentest.ApplicationID("client-id")
		graph := rotate.GraphOptions{HTTPClient: srv.Client()}
		r, err := rotate.New(client, graph.Registrar(object), filepath.Dir(path))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer cancel()

		time.Sleep(59 * day) // costs nothing
		require.Len(t, srv.KeyCredentials(object), 1)
		time.Sleep(2 * day)
		require.Len(t, srv.KeyCredentials(object), 2) // the new one beside the old one
		time.Sleep(8 * day)
		require.Len(t, srv.KeyCredentials(object), 1)
		require.NotEqual(t, cert.Leaf.Raw, srv.KeyCredentials(object)[0].Certificate.Raw)
	})
}
