package certtoken_test

import (
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/rsa"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

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
			for _, name := range []string{"everything_by_default", "every_key", "a_JWK"} {
				assert.Contains(t, string(out), "--- PASS: TestFIPSOnly/"+name)
			}
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
	t.Run("every key", func(t *testing.T) {
		for kind, signer := range kinds() {
			leaf := leafOf(t, signer, time.Now().Add(-time.Minute), time.Hour)
			cert, err := certtoken.NewCertificate(signer, leaf, nil)
			require.NoError(t, err, kind)
			for alg, of := range fitting {
				if of != kind {
					continue
				}
				signed, err := certtoken.Assertion{ClientID: "c", Audience: "a", Algorithm: alg}.Sign(t.Context(), cert)
				require.NoError(t, err, alg)
				verifiedByGo(t, alg, signer.Public(), signed)
			}
		}
	})
	t.Run("a JWK", func(t *testing.T) {
		key, err := certtoken.ParseKey(fmt.Appendf(nil, edJWK, ""))
		require.NoError(t, err)
		assert.Equal(t, edThumbprint, key.KeyID)
		key, err = certtoken.ParseKey(ecJWK(t, kinds()["P-256"].(*ecdsa.PrivateKey), "ec"))
		require.NoError(t, err)
		server := new(keyServer)
		server.register(key)
		_, err = server.client(t, key).Token(t.Context(), "read")
		require.NoError(t, err)
		withoutPrimes := rsaJWK(kinds()["RSA"].(*rsa.PrivateKey), false)
		_, err = certtoken.ParseKey(withoutPrimes)
		if !fips140.Enforced() {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, certtoken.ErrUnsupported)
		require.ErrorContains(t, err, "an RSA key without p and q, which FIPS 140 doesn't allow: write p and q too")
		_, err = certtoken.ParseKey(rsaJWK(kinds()["RSA"].(*rsa.PrivateKey), true))
		require.NoError(t, err)
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
