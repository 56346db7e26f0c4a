// Package systemd speaks the two protocols by which systemd starts a service: it hands
// over sockets that it listens on already (sd_listen_fds), and is told when the service
// is ready (sd_notify). Both do nothing where systemd isn't there.
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

const (
	firstFD   = 3
	maxSocket = 64
)

// Listeners returns the sockets that systemd listens on for this process, or none. The
// variables that say so are removed, so that no child takes them for its own.
func Listeners() ([]net.Listener, error) {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			_ = os.Unsetenv(name) // never fails for such names
		}
	}()
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 0 || count > maxSocket {
		return nil, errors.New("LISTEN_FDS is not a number of sockets")
	}
	var listeners []net.Listener
	for i := range count {
		listener, err := listenerOf(uintptr(firstFD+i), fmt.Sprintf("socket %d of systemd", i+1))
		if err != nil {
			for _, open := range listeners {
				_ = open.Close() // the first error is the one to report
			}
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

func listenerOf(fd uintptr, name string) (net.Listener, error) {
	file := os.NewFile(fd, name)
	if file == nil {
		return nil, fmt.Errorf("%s is not open", name)
	}
	defer file.Close() // the listener has a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("%s is not one to listen on: %w", name, err)
	}
	if socket, ok := listener.(*net.UnixListener); ok {
		socket.SetUnlinkOnClose(false) // it stays systemd's
	}
	return listener, nil
}

// Notifier tells systemd about the state of this process. The nil Notifier does nothing.
type Notifier struct{ addr *net.UnixAddr }

// NewNotifier returns one for the socket that systemd names, or nil. The variable is
// removed.
func NewNotifier() *Notifier {
	name := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET") // never fails for this name
	if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "@") {
		return nil
	}
	return &Notifier{&net.UnixAddr{Name: name, Net: "unixgram"}}
}

// Notify sends a state, such as READY=1. Several stand in lines of their own.
func (n *Notifier) Notify(states ...string) error {
	if n == nil {
		return nil
	}
	conn, err := net.DialUnix(n.addr.Net, nil, n.addr)
	if err != nil {
		return fmt.Errorf("systemd's NOTIFY_SOCKET: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(strings.Join(states, "\n")))
	return err
}
