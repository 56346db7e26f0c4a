package regularfile

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readPatiently reads where the limit doesn't pass, because time stands still in a bubble while
// a file is read: the disk of a busy machine can take long.
func readPatiently(t *testing.T, path string, max int64) (data []byte, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var r Reader
		data, err = r.Read(t.Context(), path, max)
	})
	return data, err
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	link, dangling := filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), dangling))

	for name, c := range map[string]struct {
		path string
		max  int64
		err  error
		text string
	}{
		"a file":              {path: file, max: 7},
		"through a link":      {path: link, max: 100},
		"one byte too many":   {path: file, max: 6, err: ErrTooLarge},
		"a folder":            {path: dir, max: 100, err: ErrNotRegular, text: "a folder"},
		"a link to a folder":  {path: filepath.Join(dir, "."), max: 100, err: ErrNotRegular, text: "a folder"},
		"nothing":             {path: filepath.Join(dir, "none"), max: 100, err: fs.ErrNotExist},
		"a link that dangles": {path: dangling, max: 100, err: fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := readPatiently(t, c.path, c.max)
			if c.err == nil {
				require.NoError(t, err)
				assert.Equal(t, "content", string(data))
				return
			}
			require.ErrorIs(t, err, c.err)
			assert.ErrorContains(t, err, c.text)
			var pathErr *fs.PathError
			require.ErrorAs(t, err, &pathErr)
			assert.Equal(t, c.path, pathErr.Path)
		})
	}
}

// A file's size is what it was a moment ago: the bytes are counted too.
func TestReadCountsTheBytes(t *testing.T) {
	file := "/proc/self/status" // says that it has 0 bytes
	if info, err := os.Stat(file); err != nil || info.Size() != 0 || !info.Mode().IsRegular() {
		t.Skip("needs a file that has more bytes than it says, such as Linux's " + file)
	}
	_, err := readPatiently(t, file, 10)
	require.ErrorIs(t, err, ErrTooLarge)
	data, err := readPatiently(t, file, 1<<20)
	require.NoError(t, err)
	assert.Greater(t, len(bytes.TrimSpace(data)), 10)
}

// A mount that is down is stood for by an access that doesn't return.
func TestAnAccessThatHangsIsGivenUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		var r Reader
		release := make(chan struct{})
		hanging := func() ([]byte, error) { <-release; return []byte("late"), nil }
		began := time.Now()
		_, err := do(t.Context(), &r, "read", file, hanging)
		require.ErrorIs(t, err, ErrHangs)
		require.ErrorContains(t, err, file)
		assert.Equal(t, Limit, time.Since(began))

		_, err = r.Stat(t.Context(), file)
		require.ErrorIs(t, err, ErrHangs)
		_, err = r.Read(t.Context(), file, 100)
		require.ErrorIs(t, err, ErrHangs)
		assert.Equal(t, Limit, time.Since(began), "who comes later doesn't wait")

		close(release)
		synctest.Wait()
		data, err := r.Read(t.Context(), file, 100)
		require.NoError(t, err)
		assert.Equal(t, "content", string(data))
	})
}

func TestACallerLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Reader
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := do(ctx, &r, "read", "file", func() ([]byte, error) { <-release; return nil, nil })
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
