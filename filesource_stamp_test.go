package certtoken_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// writeStamped writes a file with a time stamp.
func writeStamped(t *testing.T, path string, data []byte, stamp time.Time) {
	t.Helper()
	writeFile(t, path, data)
	require.NoError(t, os.Chtimes(path, stamp, stamp))
}

// A file that hasn't changed isn't read again, once its time stamp is so old that a
// later write shows in it. A new time stamp, size or file has it read.
func TestFileSourceReadsWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
		file := filepath.Join(t.TempDir(), "cert.pem")
		read := 0
		source := certtoken.CertFile(file, certtoken.WithPasswordFunc(func() string { read++; return "" }))
		ask := func() int {
			before := read
			for range 5 {
				serial(t, source)
			}
			return read - before
		}
		writeStamped(t, file, bundle(t, a), now)
		assert.Equal(t, 5, ask(), "it may be written again within the stamp's grain")
		time.Sleep(2 * time.Second)
		assert.Equal(t, 1, ask())
		assert.Zero(t, ask())
		require.NoError(t, os.Chtimes(file, now.Add(-time.Minute), now.Add(-time.Minute)))
		assert.Equal(t, 1, ask(), "another time stamp")
		writeStamped(t, file, append(bundle(t, a), '\n'), now.Add(-time.Minute))
		assert.Equal(t, 1, ask(), "another file")
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString("\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, os.Chtimes(file, now.Add(-time.Minute), now.Add(-time.Minute)))
		assert.Equal(t, 1, ask(), "another size")
		before := read
		require.NoError(t, source.Reload(t.Context(), a))
		assert.Equal(t, before+1, read, "asked to reload")
		assert.Zero(t, ask())
	})
}

// A certificate that was read before its time is used from then on, although its file
// hasn't changed.
func TestFileSourceOfANextOneThatHoldsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
		b := certOf(t, newKey(t), now.Add(time.Hour), 24*time.Hour)
		file := filepath.Join(t.TempDir(), "cert.pem")
		writeStamped(t, file, bundle(t, a), now.Add(-time.Hour))
		source := certtoken.CertFile(file)
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		writeStamped(t, file, bundle(t, b), now.Add(-time.Minute))
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		require.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
		time.Sleep(time.Hour + time.Second)
		assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, source))
		assert.NoError(t, source.Health())
	})
}

// While one caller reads a new file, which may take its time, the others go on with the
// last good pair.
func TestFileSourceIsReadByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
		b := certOf(t, newKey(t), now.Add(-time.Minute), 24*time.Hour)
		file := filepath.Join(t.TempDir(), "cert.pem")
		var wait chan struct{}
		source := certtoken.CertFile(file, certtoken.WithPasswordFunc(func() string {
			if wait != nil {
				<-wait
			}
			return ""
		}))
		writeStamped(t, file, bundle(t, a), now.Add(-time.Hour))
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		writeStamped(t, file, bundle(t, b), now.Add(-time.Minute))
		wait = make(chan struct{})
		first := make(chan string, 1)
		go func() { first <- serial(t, source) }()
		synctest.Wait()
		for range 3 {
			assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		}
		close(wait)
		assert.Equal(t, b.Leaf.SerialNumber.String(), <-first)
	})
}
