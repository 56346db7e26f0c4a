//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedSafely reports whether a file belongs to root or to this user. Another owner
// could change what it says.
func ownedSafely(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// isOwnAlone reports whether a file belongs to this user and has one name only.
func isOwnAlone(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && (info.IsDir() || stat.Nlink == 1)
}

// openNoWait is the flag by which opening a pipe doesn't wait for its writer, and
// openNoFollow the one by which a symbolic link isn't opened either.
const (
	openNoWait   = syscall.O_NONBLOCK
	openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
)

// modesCount reports whether a file's mode says who may use it.
const modesCount = true
