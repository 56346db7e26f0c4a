package agent

// Peer is the process at the other end of a Unix socket, as the kernel states it for the
// time at which the connection was made, or at which the socket was opened for
// listening.
type Peer struct {
	PID    int32
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary; only of a process that connected
}
