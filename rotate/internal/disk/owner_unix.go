//go:build unix

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openOwn opens a file that this process has made to change its mode and owner. The owner
// of the folder may have put something else in its place: a link, or another name of a file
// elsewhere, which root would give away. So it must be a regular file without a second name,
// and its owner this user or the one whom it is to be given to.
func openOwn(path string, want fs.FileInfo) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // FreeBSD says the latter
		return nil, notOwn(path, "a link")
	}
	if err != nil {
		return nil, err
	}
	if err := checkOwn(f, path, want); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkOwn counts the names that the file has while this one is among them. A count that was
// read before could be of a moment when another name stood for this one.
func checkOwn(f *os.File, path string, want fs.FileInfo) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	has, known := now.Sys().(*syscall.Stat_t)
	wants, wanted := want.Sys().(*syscall.Stat_t)
	switch {
	case !opened.Mode().IsRegular() || !os.SameFile(opened, now):
		return notOwn(path, "not a regular file, or was replaced just now")
	case known && has.Nlink != 1:
		return notOwn(path, "a file that has another name too")
	case known && wanted && int64(has.Uid) != int64(os.Geteuid()) && has.Uid != wants.Uid:
		return notOwn(path, fmt.Sprintf("a file of the user %d", has.Uid))
	}
	return nil
}

func notOwn(path, what string) error {
	return fmt.Errorf("%s is %s, so it isn't the file that was made: somebody else has put it there; remove it",
		path, what)
}

// giveTo gives an open file the owner and group that info has.
func giveTo(f *os.File, info fs.FileInfo) error {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	own, err := f.Stat()
	if err != nil {
		return err
	}
	if has, ok := own.Sys().(*syscall.Stat_t); ok && has.Uid == want.Uid && has.Gid == want.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("the new file can't be given the owner %d:%d of the old one, so who reads that couldn't "+
			"read it: run this as that user or as root: %w", want.Uid, want.Gid, err)
	}
	return nil
}

// isInvalid reports whether a file system can't do what was asked for with a folder.
func isInvalid(err error) bool { return errors.Is(err, syscall.EINVAL) }
