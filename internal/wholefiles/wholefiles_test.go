package wholefiles

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// content is what the files of a folder hold, by their names. A folder holds "/".
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := make(map[string]string)
	for _, e := range entries {
		if e.IsDir() {
			all[e.Name()] = "/"
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(data)
	}
	return all
}

func TestWrite(t *testing.T) {
	for name, test := range map[string]struct {
		before  map[string]string
		replace bool
		want    map[string]string // nil: an error, and what was there before
	}{
		"new":                  {want: map[string]string{"a": "A", "b": "B", "c": "C"}},
		"new, although it may": {replace: true, want: map[string]string{"a": "A", "b": "B", "c": "C"}},
		"in the place of others": {
			before: map[string]string{"a": "1", "c": "3"}, replace: true,
			want: map[string]string{"a": "A", "b": "B", "c": "C"},
		},
		"the first is there":          {before: map[string]string{"a": "1"}},
		"the last is there":           {before: map[string]string{"c": "3"}},
		"the last is a folder":        {before: map[string]string{"c": "/"}},
		"the last can't be replaced":  {before: map[string]string{"a": "1", "c": "/"}, replace: true},
		"the first can't be replaced": {before: map[string]string{"a": "/", "b": "2"}, replace: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range test.before {
				path := filepath.Join(dir, name)
				if data == "/" {
					require.NoError(t, os.Mkdir(path, 0o700))
					continue
				}
				require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
			}
			before := content(t, dir)
			err := Write([]File{
				{filepath.Join(dir, "a"), []byte("A"), 0o644},
				{filepath.Join(dir, "b"), []byte("B"), 0o600},
				{filepath.Join(dir, "c"), []byte("C"), 0o600},
			}, test.replace)
			if test.want == nil {
				assert.Error(t, err)
				assert.Equal(t, before, content(t, dir))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, content(t, dir))
			if runtime.GOOS != "windows" {
				assert.Equal(t, fs.FileMode(0o644), mode(t, filepath.Join(dir, "a")))
				assert.Equal(t, fs.FileMode(0o600), mode(t, filepath.Join(dir, "b")))
			}
		})
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

// The file that comes back is the very one, with its mode.
func TestWhatComesBackIsTheSameFile(t *testing.T) {
	dir := t.TempDir()
	old, folder := filepath.Join(dir, "old"), filepath.Join(dir, "folder")
	require.NoError(t, os.WriteFile(old, []byte("1"), 0o640))
	require.NoError(t, os.Mkdir(folder, 0o700))
	before, err := os.Stat(old)
	require.NoError(t, err)
	require.Error(t, Write([]File{{old, []byte("2"), 0o600}, {folder, []byte("2"), 0o600}}, true))
	after, err := os.Stat(old)
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after))
	assert.Equal(t, before.Mode(), after.Mode())
}

// An error names the file that was asked for.
func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a")
	err := Write([]File{{path, nil, 0o600}}, true)
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, path)
}
