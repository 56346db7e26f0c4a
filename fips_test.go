package certtoken_test

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// TestFIPS runs TestFIPSOnly in processes that allow nothing but FIPS 140: the
// mode can't be changed while a program runs. (The other tests can't run in it
// as a whole: in a synctest bubble time stands still, which Go's entropy source
// for that mode takes for a fault.)
func TestFIPS(t *testing.T) {
	for _, mode := range []string{"on", "only"} {
		t.Run(mode, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFIPSOnly$", "-test.v")
			cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Contains(t, string(out), "--- PASS: TestFIPSOnly/everything_by_default")
		})
	}
}

func TestFIPSOnly(t *testing.T) {
	if !fips140.Enabled() {
		t.Skip("needs GODEBUG=fips140=on or only; TestFIPS runs it so")
	}
	legacy, err := os.ReadFile("internal/certfile/testdata/corpus/go-legacydes.pfx")
	require.NoError(t, err)
	cert, err := selfsigned.New(selfsigned.Options{})
	require.NoError(t, err)

	t.Run("everything by default", func(t *testing.T) {
		data, err := selfsigned.EncodePFX(cert, "a good password", selfsigned.PFXModern)
		require.NoError(t, err)
		read, err := certtoken.ParseCertificate(data, certtoken.WithPassword("a good password"))
		require.NoError(t, err)
		tokenFor(t, read)
	})
	t.Run("x5t is a name", func(t *testing.T) {
		tokenFor(
			t,
			cert,
			certtoken.WithAlgorithm(certtoken.RS512),
			certtoken.WithThumbprintHeader(certtoken.ThumbprintBoth),
		)
	})
	t.Run("a shared store", func(t *testing.T) {
		srv, pair := fleet(t)
		store := certtoken.NewMemoryStore()
		for range 2 {
			client := process(t, srv, pair, store)
			_, err := client.Token(t.Context(), scope)
			require.NoError(t, err)
			require.NoError(t, client.Close())
		}
		assert.Equal(t, 1, srv.Count())
	})
	if fips140.Enforced() {
		t.Run("what isn't allowed says so", func(t *testing.T) {
			_, err := certtoken.ParseCertificate(legacy, certtoken.WithPassword("secret"))
			require.ErrorIs(t, err, certtoken.ErrUnsupported)
			assert.ErrorContains(t, err, "FIPS")
		})
	}
}

func tokenFor(t *testing.T, cert *certtoken.Certificate, opts ...certtoken.AuthorityOption) {
	t.Helper()
	srv := certtokentest.New()
	srv.Register(clientID, cert.Leaf)
	client, err := certtoken.NewClient(
		certtoken.Entra(tenantID, opts...),
		clientID,
		cert,
		certtoken.WithHTTPClient(srv.Client()),
	)
	require.NoError(t, err)
	_, err = client.Token(t.Context(), scope)
	require.NoError(t, err)
	require.NoError(t, client.Close())
}
