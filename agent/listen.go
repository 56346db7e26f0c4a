package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Listen listens on a loopback address such as 127.0.0.1:40400, where localhost stands
// for 127.0.0.1 and port 0 for any that is free, or with "unix:" before it on a path,
// such as unix:/run/certtoken/agent.sock. Other addresses are refused.
//
// A Unix socket has mode 0600 (see [ListenUnix]).
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return ListenUnix(ctx, path, 0o600)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf(prefix+"listen on %q: give ADDRESS:PORT", address)
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return nil, fmt.Errorf(prefix+"listen on %q: give a loopback address, 127.0.0.1 or ::1, or a Unix socket: "+
			"other machines could ask for tokens", address)
	}
	config := net.ListenConfig{Control: exclusive}
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf(prefix+"%w", err)
	}
	return listener, nil
}
