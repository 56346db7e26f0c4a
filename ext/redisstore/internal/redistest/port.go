package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports are chosen among those that no system gives out by itself. One that the system gave
// out could be given to somebody else, in this process or another, before a server has it.
// Those above belong to the tests of interop, which run at the same time: a server there
// takes seconds to start, and its port looks free until then.
const (
	firstPort = 15_000
	ports     = 7_500
)

var handedOut sync.Map // the ports that this process has had

// freePort is a port on which no program listens now, and which no other call returns.
func freePort(t testing.TB) int {
	t.Helper()
	for range ports {
		port := firstPort + rand.IntN(ports)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		if _, had := handedOut.LoadOrStore(port, true); !had {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
