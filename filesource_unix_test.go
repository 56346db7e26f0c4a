//go:build unix

package certtoken_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/regularfile"
)

// strangers are what can stand in a file's place and would be waited for for ever.
var strangers = map[string]func(t *testing.T, path string){
	"a named pipe": func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) },
	"a link to a named pipe": func(t *testing.T, path string) {
		require.NoError(t, syscall.Mkfifo(path+".pipe", 0o600))
		require.NoError(t, os.Symlink(path+".pipe", path))
	},
	"a device without an end": func(t *testing.T, path string) { require.NoError(t, os.Symlink("/dev/zero", path)) },
	"a folder":                func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) },
}

func TestFileSourceWithAStrangerInItsPlace(t *testing.T) {
	now := time.Now()
	a, b := certOf(t, newKey(t), now, 24*time.Hour), certOf(t, newKey(t), now, 24*time.Hour)
	layouts := map[string]func(crt, key string) certtoken.CertSource{
		"of the certificate": func(crt, _ string) certtoken.CertSource { return certtoken.CertFile(crt) },
		"of the key": func(crt, key string) certtoken.CertSource {
			return certtoken.CertFile(crt, certtoken.WithKeyFile(key))
		},
	}
	for place, source := range layouts {
		for name, put := range strangers {
			t.Run(name+" in the place "+place, func(t *testing.T) {
				dir := t.TempDir()
				crt, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
				install := func(c *certtoken.Certificate) {
					writeFile(t, crt, bundle(t, c))
					writeFile(t, key, keyPEM(t, c))
				}
				gone := crt
				if place == "of the key" {
					gone = key
				}
				put(t, gone)
				fresh := source(crt, key).(*certtoken.FileSource)
				_, err := fresh.Certificate(t.Context())
				require.Error(t, err)
				if gone == crt {
					require.ErrorIs(t, err, regularfile.ErrNotRegular)
				}
				require.NoError(t, os.RemoveAll(gone))
				install(a)
				assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, fresh))

				require.NoError(t, os.Remove(gone))
				require.NoError(t, os.RemoveAll(gone+".pipe"))
				put(t, gone)
				for range 3 {
					assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, fresh), "the last good pair")
					require.ErrorIs(t, fresh.Health(), regularfile.ErrNotRegular)
					require.ErrorIs(t, fresh.Reload(t.Context(), a), regularfile.ErrNotRegular)
				}
				require.NoError(t, os.RemoveAll(gone))
				install(b)
				assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, fresh), "it heals")
				assert.NoError(t, fresh.Health())
			})
		}
	}
}

func TestAssertionFileWithAStrangerInItsPlace(t *testing.T) {
	for name, put := range strangers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			put(t, path)
			source := certtoken.AssertionFile(path)
			_, err := source.Assertion(t.Context(), "")
			require.ErrorIs(t, err, regularfile.ErrNotRegular)
			require.ErrorContains(t, err, path)
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.WriteFile(path, []byte("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), 0o600))
			_, err = source.Assertion(t.Context(), "")
			require.NoError(t, err)
		})
	}
}

// What is named once may be a pipe, as the shell's <(command) makes one.
func TestParseCertificateReadsItsKeyFromAPipe(t *testing.T) {
	a := certOf(t, newKey(t), time.Now(), 24*time.Hour)
	pipe := filepath.Join(t.TempDir(), "key")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, keyPEM(t, a), 0) }()
	cert, err := certtoken.ParseCertificate(certPEM(a.Leaf), certtoken.WithKeyFile(pipe))
	require.NoError(t, errors.Join(err, <-written))
	assert.Equal(t, a.Leaf.Raw, cert.Leaf.Raw)

	_, err = certtoken.ParseCertificate(certPEM(a.Leaf), certtoken.WithKeyFile("/dev/zero"))
	assert.ErrorIs(t, err, certtoken.ErrTooLarge, "no more than 1 MiB is read")
}
