package agent

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// exclusiveAddrUse is SO_EXCLUSIVEADDRUSE of Winsock.
const exclusiveAddrUse = ^syscall.SO_REUSEADDR

// exclusive keeps other programs from listening on the same address, which Windows lets
// them otherwise.
func exclusive(_, _ string, conn syscall.RawConn) error {
	var set error
	err := conn.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, exclusiveAddrUse, 1)
	})
	if err != nil {
		return err
	}
	return set
}

// ListenUnix listens on a Unix socket. On Windows the mode is not used: the folder's
// access list decides who can connect.
func ListenUnix(ctx context.Context, path string, _ fs.FileMode) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf(prefix+"%w", err)
	}
	return listener, nil
}
