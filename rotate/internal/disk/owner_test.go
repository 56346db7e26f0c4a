//go:build unix

package disk_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/rotate/internal/disk"
)

const nobody = 65534

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
}

func ownerOf(t *testing.T, path string) (uid uint32, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return stat.Uid, info.Mode()
}

// What the owner of the folder has put in the new file's place isn't given away.
func TestOnlyTheFileThatWasMadeIsGivenAway(t *testing.T) {
	for name, put := range map[string]func(victim, next string) error{
		"a link":           os.Symlink,
		"another name":     os.Link,
		"a pipe":           func(_, next string) error { return syscall.Mkfifo(next, 0o600) },
		"a folder":         func(_, next string) error { return os.Mkdir(next, 0o700) },
		"nothing":          func(string, string) error { return nil },
		"a link to itself": func(_, next string) error { return os.Symlink(next, next) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			victim, old, next := filepath.Join(dir, "victim"), filepath.Join(dir, "old"), filepath.Join(dir, "next")
			for _, path := range []string{victim, old} {
				require.NoError(t, os.WriteFile(path, nil, 0o600))
			}
			require.NoError(t, os.Chmod(old, 0o666))
			if os.Geteuid() == 0 {
				require.NoError(t, os.Chown(old, nobody, nobody))
			}
			require.NoError(t, put(victim, next))
			require.Error(t, disk.Disk{}.Imitate(next, old))
			uid, mode := ownerOf(t, victim)
			assert.EqualValues(t, os.Geteuid(), uid)
			assert.Equal(t, fs.FileMode(0o600), mode)
		})
	}
}

// A file of somebody else isn't the one that was made, though it has one name.
func TestAFileOfSomebodyElseIsNotGivenAway(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	old, next := filepath.Join(dir, "old"), filepath.Join(dir, "next")
	for _, path := range []string{old, next} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	require.NoError(t, os.Chown(old, nobody, nobody))
	require.NoError(t, os.Chown(next, 4242, 4242))
	require.ErrorContains(t, disk.Disk{}.Imitate(next, old), "the user 4242")
	uid, _ := ownerOf(t, next)
	assert.EqualValues(t, 4242, uid)
}

// What root makes beside a user's file is the user's.
func TestWhatIsMadeIsTheOwners(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "app.pem")
	require.NoError(t, os.Chown(dir, 4242, 4242))
	like := disk.Disk{Like: file}
	require.NoError(t, like.Write(file+".1", nil), "the folder's owner, as long as the file isn't there")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Chown(file, nobody, nobody))
	require.NoError(t, like.Write(file+".2", nil))
	require.NoError(t, os.Symlink(file, file+".link"))
	require.NoError(t, disk.Disk{Like: file + ".link"}.Write(file+".3", nil))
	unlock, err := like.TryLock(file + ".4")
	require.NoError(t, err)
	unlock()
	require.NoError(t, disk.Disk{}.Write(file+".5", nil))
	for suffix, want := range map[string]int{".1": 4242, ".2": nobody, ".3": nobody, ".4": nobody, ".5": 0} {
		uid, mode := ownerOf(t, file+suffix)
		assert.EqualValues(t, want, uid, suffix)
		assert.Equal(t, fs.FileMode(0o600), mode, suffix)
	}
}

// A lock that somebody else has put there stays whose it is.
func TestALockThatIsThereIsNotGivenAway(t *testing.T) {
	dir := t.TempDir()
	file, victim := filepath.Join(dir, "app.pem"), filepath.Join(dir, "victim")
	for _, path := range []string{file, victim} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(file, nobody, nobody))
	}
	d := disk.Disk{Like: file}
	require.NoError(t, os.Link(victim, file+".lock"))
	unlock, err := d.TryLock(file + ".lock")
	require.NoError(t, err)
	unlock()
	uid, _ := ownerOf(t, victim)
	assert.EqualValues(t, os.Geteuid(), uid)
	require.NoError(t, os.Symlink(victim, file+".link"))
	_, err = d.TryLock(file + ".link")
	assert.ErrorIs(t, err, syscall.ELOOP)
}

// A named pipe is refused, and no writer is waited for.
func TestAPipeIsNotRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := disk.Disk{}.Read(pipe)
	assert.ErrorContains(t, err, "is not a regular file")
}
