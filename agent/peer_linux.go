package agent

import (
	"net"
	"syscall"
	"unsafe"
)

const knowsPeers = true

const (
	soPeerGroups = 59    // SO_PEERGROUPS, which package syscall lacks; the same on all of Go's architectures
	maxGroups    = 65536 // that the kernel allows
)

func peerOf(conn *net.UnixConn) (Peer, bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, false
	}
	var cred *syscall.Ucred
	var groups []uint32
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		groups = peerGroups(fd)
	})
	if err != nil || credErr != nil {
		return Peer{}, false
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Groups: groups}, true
}

// peerGroups asks for the supplementary groups. A kernel before 4.13 doesn't know
// them: then there are none.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := syscall.Syscall6(sysGetsockopt, fd, syscall.SOL_SOCKET, soPeerGroups,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4]
		case errno == syscall.ERANGE && int(size/4) > len(groups) && size/4 <= maxGroups: // the kernel says how many
			groups = make([]uint32, size/4)
		default:
			return nil
		}
	}
}
