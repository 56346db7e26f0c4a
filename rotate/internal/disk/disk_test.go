package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/rotate/internal/disk"
)

func TestWriteReplacesAWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var d disk.Disk
	for _, content := range []string{"first", "second, longer"} {
		require.NoError(t, d.Write(path, []byte(content)))
		data, err := d.Read(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(data))
	}
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	assert.True(t, disk.Missing(path+".tmp"))
}

// Stopped at any point of a write, the file is the old one or the new one.
func TestAStoppedWriteLeavesAWholeFile(t *testing.T) {
	for _, when := range []string{"before", "within", "after"} {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, disk.Disk{}.Write(path, []byte("old")))
		stopped := errors.New("stopped")
		d := disk.Disk{Fault: func(point string) error {
			if point == when+" write file" {
				return stopped
			}
			return nil
		}}
		require.ErrorIs(t, d.Write(path, []byte("new")), stopped)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		want := map[string]string{"before": "old", "within": "old", "after": "new"}[when]
		assert.Equal(t, want, string(data), when)
		require.NoError(t, disk.Disk{}.Write(path, []byte("later")), "what was left is no hindrance")
		assert.True(t, disk.Missing(path+".tmp"))
	}
}

// A link that somebody put where the new file is written isn't followed.
func TestALinkInTheWayIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	if err := os.Symlink(victim, path+".tmp"); err != nil {
		t.Skipf("no links here: %v", err)
	}
	require.NoError(t, disk.Disk{}.Write(path, []byte("new")))
	data, err := os.ReadFile(victim)
	require.NoError(t, err)
	assert.Equal(t, "untouched", string(data))
}

func TestReadIsBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(path, make([]byte, disk.MaxFile+1), 0o600))
	_, err := disk.Disk{}.Read(path)
	assert.ErrorIs(t, err, disk.ErrTooLarge)
	_, err = disk.Disk{}.Read(dir)
	assert.ErrorContains(t, err, "regular")
}

func TestImitate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes")
	}
	dir := t.TempDir()
	old, next := filepath.Join(dir, "old"), filepath.Join(dir, "next")
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	require.NoError(t, os.Chmod(old, 0o640))
	require.NoError(t, os.WriteFile(next, nil, 0o600))
	require.NoError(t, disk.Disk{}.Imitate(next, old))
	info, err := os.Stat(next)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode())
}

func TestOneLockAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := disk.Disk{}.TryLock(path)
	require.NoError(t, err)
	require.NotNil(t, unlock)
	second, err := disk.Disk{}.TryLock(path)
	require.NoError(t, err)
	assert.Nil(t, second)
	unlock()
	third, err := disk.Disk{}.TryLock(path)
	require.NoError(t, err)
	require.NotNil(t, third)
	third()
	_, err = disk.Disk{}.TryLock(filepath.Join(t.TempDir(), "missing", "lock"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
