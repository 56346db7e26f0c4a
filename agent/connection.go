package agent

import (
	"context"
	"net"
)

// PeerOf returns who is at the other end of a connection over a Unix socket. It reports
// false where the system doesn't say it (other than Linux), and for other connections.
func PeerOf(conn net.Conn) (Peer, bool) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, false
	}
	return peerOf(socket)
}

// connection is what is known about the connection that a request came over.
type connection struct {
	unix bool
	peer *Peer

	trust func() // notes that a caller who is listed uses it
}

type connectionKey struct{}

// ConnContext is the ConnContext of an [http.Server] that serves an Agent: by it the
// Agent learns who is at the other end of a Unix socket. [Agent.Serve] has it already.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, newConnection(conn))
}

func newConnection(conn net.Conn) *connection {
	c := &connection{trust: func() {}}
	if _, c.unix = conn.(*net.UnixConn); c.unix {
		if peer, ok := PeerOf(conn); ok {
			c.peer = &peer
		}
	}
	return c
}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	if c == nil {
		return &connection{trust: func() {}}
	}
	return c
}
