package disk_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/rotate/internal/disk"
)

// listFor is an access list by which a user reads a file, and the owning group doesn't.
func listFor(uid uint32) []byte {
	const none = 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2) // the version
	for _, entry := range []struct {
		tag, rights uint16
		id          uint32
	}{
		{0x01, 6, none}, // the owner
		{0x02, 4, uid},
		{0x04, 0, none}, // the owning group
		{0x10, 4, none}, // the mask
		{0x20, 0, none}, // all others
	} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.rights)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return list
}

func setList(t *testing.T, path, name string, list []byte) {
	t.Helper()
	err := syscall.Setxattr(path, name, list, 0)
	if errors.Is(err, syscall.ENOTSUP) {
		t.Skip("this file system has no access lists")
	}
	require.NoError(t, err)
}

// The new file can be read by whom the old one could, and by nobody else.
func TestTheAccessListStays(t *testing.T) {
	const access = "system.posix_acl_access"
	for name, c := range map[string]struct {
		ofFile, ofFolder []byte
		mode             fs.FileMode // as it shows, with the mask for the group
	}{
		"a list":                           {ofFile: listFor(4242), mode: 0o640},
		"none, and the folder hands it on": {ofFolder: listFor(4242), mode: 0o640},
		"another than the folder's":        {ofFile: listFor(4242), ofFolder: listFor(4343), mode: 0o640},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			old, next := filepath.Join(dir, "old"), filepath.Join(dir, "next")
			require.NoError(t, os.WriteFile(old, nil, 0o600))
			require.NoError(t, os.Chmod(old, c.mode))
			if c.ofFile != nil {
				setList(t, old, access, c.ofFile)
			}
			if c.ofFolder != nil {
				setList(t, dir, "system.posix_acl_default", c.ofFolder)
			}
			var d disk.Disk
			require.NoError(t, d.Write(next, nil))
			require.NoError(t, d.Imitate(next, old))
			list := make([]byte, 1024)
			n, err := syscall.Getxattr(next, access, list)
			if c.ofFile == nil {
				assert.ErrorIs(t, err, syscall.ENODATA)
			} else {
				require.NoError(t, err)
				assert.Equal(t, c.ofFile, list[:n])
			}
			info, err := os.Stat(next)
			require.NoError(t, err)
			assert.Equal(t, c.mode, info.Mode())
		})
	}
}
