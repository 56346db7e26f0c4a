package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

const (
	accessList = "system.posix_acl_access"
	maxList    = 64 << 10 // the kernel's bound of an attribute
)

// imitateList gives an open file the access list of another one, or takes away one that it
// has from its folder. With a list the mode's bits for the group are the list's mask: a mode
// alone would give the group what the list gives somebody else. It is for before the mode is
// set, while nobody else can read the file.
func imitateList(f *os.File, other string) error {
	own := fmt.Sprintf("/proc/self/fd/%d", f.Fd()) // the file that is open, whatever has its name now
	list := make([]byte, maxList)
	n, err := syscall.Getxattr(other, accessList, list)
	switch {
	case err == nil:
		err = syscall.Setxattr(own, accessList, list[:n], 0)
	case isWithoutList(err):
		if err = syscall.Removexattr(own, accessList); isWithoutList(err) || errors.Is(err, syscall.ENOENT) {
			return nil // without /proc too: there is hardly a list then
		}
	}
	if err != nil {
		return fmt.Errorf("the access list of the old file can't be given to the new one, so who reads that couldn't "+
			"read it, or others could (getfacl shows it): %w", err)
	}
	return nil
}

// isWithoutList reports that a file has no access list, or that its file system has none.
func isWithoutList(err error) bool {
	return errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS)
}
