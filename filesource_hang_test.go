package certtoken_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/regularfile"
)

// A network mount that is down for a while: the last good pair signs, Health says
// why, and the source heals by itself.
func TestFileSourceOnAMountThatHangs(t *testing.T) {
	now := time.Now()
	a, b := certOf(t, newKey(t), now, 24*time.Hour), certOf(t, newKey(t), now, 24*time.Hour)
	file := filepath.Join(t.TempDir(), "cert.pem")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now.Add(time.Minute)))
		writeFile(t, file, bundle(t, a))
		source := certtoken.CertFile(file)
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		writeFile(t, file, bundle(t, b))

		release := make(chan struct{})
		certtoken.HangFiles(source, release)
		began := time.Now()
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		assert.LessOrEqual(t, time.Since(began), regularfile.Limit)
		for range 3 {
			assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
			require.ErrorIs(t, source.Health(), regularfile.ErrHangs)
			require.ErrorContains(t, source.Health(), file)
			require.ErrorIs(t, source.Reload(t.Context(), a), regularfile.ErrHangs)
		}
		assert.LessOrEqual(t, time.Since(began), regularfile.Limit, "only the first waits")

		close(release)
		synctest.Wait()
		assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, source))
		assert.NoError(t, source.Health())
	})
}

func TestFileSourceThatHangsFromTheStart(t *testing.T) {
	a := certOf(t, newKey(t), time.Now().Add(-40*365*24*time.Hour), 80*365*24*time.Hour)
	file := filepath.Join(t.TempDir(), "cert.pem")
	writeFile(t, file, bundle(t, a))
	synctest.Test(t, func(t *testing.T) {
		source := certtoken.CertFile(file)
		release := make(chan struct{})
		certtoken.HangFiles(source, release)

		why := errors.New("why")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		_, err := source.Certificate(ctx)
		require.ErrorIs(t, err, why, "a caller leaves with its context")

		_, err = source.Certificate(t.Context())
		require.ErrorIs(t, err, regularfile.ErrHangs)
		close(release)
		synctest.Wait()
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
	})
}

// One caller gives up while it reads for others.
func TestFileSourceWhoseReaderLeaves(t *testing.T) {
	a := certOf(t, newKey(t), time.Now().Add(-40*365*24*time.Hour), 80*365*24*time.Hour)
	file := filepath.Join(t.TempDir(), "cert.pem")
	writeFile(t, file, bundle(t, a))
	synctest.Test(t, func(t *testing.T) {
		source := certtoken.CertFile(file)
		release := make(chan struct{})
		certtoken.HangFiles(source, release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			_, err := source.Certificate(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		}()
		synctest.Wait()
		go func() {
			time.Sleep(2 * time.Second)
			close(release)
		}()
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		synctest.Wait()
	})
}

func TestAssertionFileOnAMountThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		source := certtoken.AssertionFile(path)
		release := make(chan struct{})
		certtoken.HangFiles(source, release)
		_, err := source.Assertion(t.Context(), "")
		require.ErrorIs(t, err, regularfile.ErrHangs)
		require.ErrorContains(t, err, path)
		close(release)
		synctest.Wait()
		_, err = source.Assertion(t.Context(), "")
		require.NoError(t, err)
	})
}

// The certificate and its key are replaced between the reading of the one and of
// the other: what was read first is read again.
func TestFileSourceReadsUntilTheFilesHoldStill(t *testing.T) {
	now := time.Now()
	a, b := certOf(t, newKey(t), now, 24*time.Hour), certOf(t, newKey(t), now, 24*time.Hour)
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writeFile(t, crt, certPEM(a.Leaf))
	writeFile(t, key, keyPEM(t, a))
	replaced := false
	source := certtoken.CertFile(crt, certtoken.WithKeyFile(key), certtoken.WithPasswordFunc(func() string {
		if !replaced {
			replaced = true
			writeFile(t, crt, certPEM(b.Leaf))
			writeFile(t, key, keyPEM(t, b))
		}
		return ""
	}))
	assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, source))
	assert.NoError(t, source.Health())
}

func TestFileSourceReadsOneMebibyteAtMost(t *testing.T) {
	a := certOf(t, newKey(t), time.Now(), 24*time.Hour)
	file := filepath.Join(t.TempDir(), "cert.pem")
	padded := append(bundle(t, a), make([]byte, 1<<20)...)
	for i := len(bundle(t, a)); i < len(padded); i++ {
		padded[i] = '\n'
	}
	writeFile(t, file, padded[:1<<20])
	source := certtoken.CertFile(file)
	assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
	writeFile(t, file, padded[:1<<20+1])
	assert.ErrorIs(t, source.Health(), certtoken.ErrTooLarge)
}
