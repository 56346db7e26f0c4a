package selfsigned

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
	f := &outFile{path: path, data: []byte("key"), mode: privateMode, temp: filepath.Join(t.TempDir(), "gone")}
	require.NoError(t, f.place(false))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "key", string(data))

	other := &outFile{path: path, data: []byte("other"), mode: privateMode, temp: f.temp}
	assert.ErrorIs(t, other.place(false), fs.ErrExist)
	assert.ErrorIs(t, other.create(), fs.ErrExist)
	assert.Nil(t, other.undo)
	f.undo()
	assert.NoFileExists(t, path)
}

func TestReplaceCanBeUndone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "private.pfx")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	f := &outFile{path: path, data: []byte("new"), mode: privateMode}
	var err error
	f.temp, err = writeTemp(path, f.data, f.mode)
	require.NoError(t, err)
	require.NoError(t, f.place(true))
	f.undo()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(data))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)

	fresh := &outFile{path: filepath.Join(dir, "fresh"), mode: privateMode}
	fresh.temp, err = writeTemp(fresh.path, []byte("x"), privateMode)
	require.NoError(t, err)
	require.NoError(t, fresh.place(true))
	fresh.undo()
	assert.NoFileExists(t, fresh.path)
}
