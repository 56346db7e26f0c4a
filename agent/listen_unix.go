//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

var (
	errInUse = errors.New("another program answers there")
	errOwner = errors.New("its folder belongs to neither root nor this user")
	errOpen  = errors.New("others may write into its folder, and could put a socket of theirs in its place")
	errOther = errors.New("there is something that is no socket")
	errLong  = errors.New("its path is too long for a socket")
)

// exclusive is for Windows: here nobody else can listen on an address that is taken.
func exclusive(string, string, syscall.RawConn) error { return nil }

// ListenUnix listens on a Unix socket with this mode, of which the write bits decide who
// can connect. The socket's folder must belong to root or to this user, and nobody else
// may write into it. A socket that a killed agent has left is replaced; one that
// somebody answers on is not. Closing the listener removes the socket.
func ListenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	listener, err := listenUnix(ctx, path, mode)
	if err != nil {
		return nil, fmt.Errorf(prefix+"listen on %s: %w", path, err)
	}
	return listener, nil
}

func listenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	if err := checkLength(path); err != nil {
		return nil, err
	}
	if err := checkFolder(folder); err != nil {
		return nil, err
	}
	if err := checkPlace(ctx, path); err != nil {
		return nil, err
	}
	// The socket is made in a folder that nobody else can enter, so that it is never open
	// to more than its mode says, and then moved.
	private, err := os.MkdirTemp(folder, ".ct")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private) // empty by then
	made := filepath.Join(private, "s")
	if err := checkLength(made); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", made)
	if err != nil {
		return nil, err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(made, mode.Perm()), os.Rename(made, path)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &unixListener{Listener: listener, path: path, info: info}, nil
}

// longest is the length of the longest path that a socket can be bound and connected to by.
const longest = len(syscall.RawSockaddrUnix{}.Path) - 1

// checkLength refuses a path that nobody could connect to. A socket can be moved to one.
func checkLength(path string) error {
	if len(path) > longest {
		return fmt.Errorf("%w: %s has %d bytes, and at most %d can be connected to: choose a shorter folder",
			errLong, path, len(path), longest)
	}
	return nil
}

// checkFolder refuses a folder in which somebody else could take the socket's place, or
// that somebody else could move away.
func checkFolder(folder string) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	if err := checkOwner(folder, false); err != nil {
		return err
	}
	for folder != filepath.Dir(folder) {
		folder = filepath.Dir(folder)
		if err := checkOwner(folder, true); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return nil
}

// checkOwner checks one folder. Others may write into one above it that is sticky, such
// as /tmp: there nobody can move what isn't theirs.
func checkOwner(folder string, above bool) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return errOwner
	case above && info.Mode()&fs.ModeSticky != 0:
		return nil
	case info.Mode().Perm()&0o022 != 0:
		return errOpen
	}
	return nil
}

// checkPlace refuses a path where something is that isn't an abandoned socket.
func checkPlace(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errOther
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(errInUse, conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}

// unixListener removes its socket when it is closed, unless another agent has taken the
// place by then.
type unixListener struct {
	net.Listener
	path  string
	info  fs.FileInfo
	close sync.Once
}

// Addr is the path of the socket.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket and closes the listener.
func (l *unixListener) Close() error {
	l.close.Do(func() {
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.info) {
			_ = os.Remove(l.path) // the next agent replaces it
		}
	})
	return l.Listener.Close()
}
