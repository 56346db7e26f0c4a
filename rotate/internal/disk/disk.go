// Package disk writes the files of a rotation so that a crash, of the program or of the
// machine, leaves each of them whole: as it was before or as it is after. It knows nothing
// of what the files hold.
//
//	disk.go     reading, writing and renaming
//	lock.go     a lock between processes, and the systems' ways to have one
//	owner_*     whose a file is, and whether it is the one that was made
//	acl_*       access lists of files
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/certtoken/certtoken/internal/regularfile"
)

const (
	privateMode fs.FileMode = 0o600 // of every file while it is written
	publicMode  fs.FileMode = 0o644
)

// MaxFile is how many bytes of a file are read.
const MaxFile = 1 << 20

// ErrTooLarge is a file of more than [MaxFile].
var ErrTooLarge = errors.New("the file is too large")

// errTaken is a lock that another process has.
var errTaken = errors.New("the lock is taken")

// Disk does what a rotation does with files. Its zero value is ready to use.
type Disk struct {
	// Fault is called before and after each change of a file, with what is about to be done,
	// so that tests can fail or stop there. What it returns is the operation's error.
	Fault func(point string) error

	// Like is a file whose owner gets the files that are made, or the owner of its folder as
	// long as it isn't there. "": they are this user's. So one run as root doesn't
	// lock the owner of the folder out. A user who may not give files away keeps them.
	Like string
}

// At calls Fault, for points that are no change of a file.
func (d Disk) At(point string) error {
	if d.Fault == nil {
		return nil
	}
	return d.Fault(point)
}

func (d Disk) at(when, what, path string) error {
	return d.At(when + " " + what + " " + filepath.Base(path))
}

// Read returns the content of a regular file, having followed links.
func (d Disk) Read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|regularfile.WithoutWaiting, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened: the folder's owner may put a pipe there at any moment
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	return data, err
}

// Write makes or replaces a file with the mode 0600. A reader sees the old content or
// the new, also after the machine lost its power.
func (d Disk) Write(path string, data []byte) error {
	if err := d.at("before", "write", path); err != nil {
		return err
	}
	temp := path + ".tmp" // always the same name, so that what a crash left is overwritten
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.writeNew(temp, data); err != nil {
		_ = os.Remove(temp) // the first error tells more
		return err
	}
	if err := d.at("within", "write", path); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := syncFolder(path); err != nil {
		return err
	}
	return d.at("after", "write", path)
}

// Replace is Write for a file that isn't secret: it keeps the mode and the owner that it has,
// and a new one can be read by everybody.
func (d Disk) Replace(path string, data []byte) error {
	temp := path + ".new"
	if err := d.Write(temp, data); err != nil {
		return err
	}
	if Missing(path) {
		if err := d.publish(temp); err != nil {
			return err
		}
	} else if err := d.Imitate(temp, path); err != nil {
		return err
	}
	return d.Rename(temp, path)
}

// publish lets everybody read a file that was made.
func (d Disk) publish(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	f, err := openOwn(path, info)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(publicMode), f.Close())
}

// writeNew writes a file that isn't there, up to the disk.
func (d Disk) writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, d.give(f), f.Sync(), f.Close())
}

// give gives a new file to the owner of Like.
func (d Disk) give(f *os.File) error {
	if d.Like == "" {
		return nil
	}
	info, err := os.Stat(d.Like)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(d.Like))
	}
	if err != nil {
		return err
	}
	if err := giveTo(f, info); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// Rename gives a file the name of another one, which it replaces.
func (d Disk) Rename(from, to string) error {
	if err := d.at("before", "rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := syncFolder(to); err != nil {
		return err
	}
	return d.at("after", "rename", to)
}

// Remove removes files; one that isn't there is no error. What a crash left of writing it is
// removed too.
func (d Disk) Remove(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := d.at("before", "remove", path); err != nil {
			return err
		}
		for _, name := range []string{path, path + ".tmp"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := d.at("after", "remove", path); err != nil {
			return err
		}
	}
	return nil
}

// Imitate gives a file that was made the mode, the owner and the access list of another one.
func (d Disk) Imitate(path, other string) error {
	if err := d.at("before", "imitate", path); err != nil {
		return err
	}
	info, err := os.Stat(other)
	if err != nil {
		return err
	}
	f, err := openOwn(path, info)
	if err != nil {
		return err
	}
	err = giveTo(f, info)
	if err == nil {
		err = imitateList(f, other)
	}
	if err == nil {
		err = f.Chmod(info.Mode().Perm()) // after chown, which may take bits away
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.at("after", "imitate", path)
}

// Missing reports whether there is nothing at a path.
func Missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// syncFolder writes the names in a file's folder to the disk. Windows does so by itself, and
// some network file systems can't be asked to.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil //nolint:nilerr // a folder that may be written to and not read
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !isInvalid(err) {
		return err
	}
	return nil
}
