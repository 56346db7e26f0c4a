package wholefiles

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Where there are no hard links, a file is created in its place at once.
func TestCreateWithoutLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private.pfx")
	gone := filepath.Join(t.TempDir(), "gone")
	f := &pending{File: File{path, []byte("key"), 0o600}, temp: gone}
	require.NoError(t, f.place(false))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "key", string(data))

	other := &pending{File: File{path, []byte("other"), 0o600}, temp: gone}
	assert.ErrorIs(t, other.place(false), fs.ErrExist)
	assert.ErrorIs(t, other.create(), fs.ErrExist)
	other.end(true)
	assert.FileExists(t, path, "it is the other's")
	f.end(true)
	assert.NoFileExists(t, path)
}

// Where there are no hard links, a copy of the file before comes back.
func TestKeepWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "private.pfx")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	temp, err := writeTemp(File{path, []byte("new"), 0o600})
	require.NoError(t, err)
	f := &pending{File: File{path, []byte("new"), 0o600}, temp: temp}
	require.NoError(t, os.Mkdir(temp+".old", 0o700)) // no link can have this name
	require.NoError(t, f.place(true))
	assert.Equal(t, "new", content(t, dir)["private.pfx"])
	require.NoError(t, os.Remove(temp+".old"))
	f.end(true)
	assert.Equal(t, map[string]string{"private.pfx": "old"}, content(t, dir))
}
