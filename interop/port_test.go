package interop

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are chosen among those that no system gives out by itself. One that the system gave
// out could be given to somebody else, in this process or another, before a server has it.
// Those below belong to the tests of ext/redisstore, which run at the same time.
const (
	firstPort = 22_500
	ports     = 7_500
)

var handedOut sync.Map // the ports that this process has had

// freePort is one on which no program listens now, and which no other call returns.
func freePort() (string, error) {
	for range ports {
		port := strconv.Itoa(firstPort + rand.IntN(ports))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = l.Close()
		if _, had := handedOut.LoadOrStore(port, true); !had {
			return port, nil
		}
	}
	return "", errors.New("no port is free")
}
