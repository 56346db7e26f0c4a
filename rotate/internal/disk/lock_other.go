//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// staleAfter is the age at which a lock is likely that of a process that has ended. A step of
// a rotation takes much less.
const staleAfter = 15 * time.Minute

// lockFile makes a file that must not be there. These systems release nothing for a process
// that has ended. A file that is old isn't removed here: two processes that find it at the
// same time could each remove the other's new one.
func (Disk) lockFile(path string) (func(), error) {
	path += ".held"
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateMode)
	if err == nil {
		f.Close()
		return func() { _ = os.Remove(path) }, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Stat(path)
	if err == nil && time.Since(info.ModTime()) > staleAfter {
		return nil, fmt.Errorf("%s is there since %s: if the process that made it has ended, remove it",
			path, info.ModTime().UTC().Format(time.RFC3339))
	}
	return nil, errTaken
}
