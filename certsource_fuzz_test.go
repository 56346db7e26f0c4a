package certtoken_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// FuzzParseCertificate goes through the public door; internal/certfile fuzzes
// each of its readers with the whole corpus.
func FuzzParseCertificate(f *testing.F) {
	for _, name := range []string{"openssl-default.pfx", "bad-cut-der.der", "bad-html.html", "bad-csr.csr",
		"bad-certonly.pem"} {
		data, err := os.ReadFile(filepath.Join("internal", "certfile", "testdata", "corpus", name))
		require.NoError(f, err, "a seed is missing")
		f.Add(data, "secret", true)
		f.Add(data, "", false)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "golden.pem"))
	require.NoError(f, err)
	f.Add(golden, "", false)
	f.Fuzz(func(t *testing.T, data []byte, password string, given bool) {
		var opts []certtoken.CertOption
		if given {
			opts = append(opts, certtoken.WithPassword(password))
		}
		cert, err := certtoken.ParseCertificate(data, opts...)
		if err != nil {
			assert.Nil(t, cert)
			return
		}
		_, err = certtoken.NewCertificate(cert.Signer, cert.Leaf, cert.Chain)
		assert.NoError(t, err, "what was read is a pair")
	})
}
