// Package spiffetest is an agent of SPIFFE for tests: a Workload API on this machine, with a
// trust domain of its own. A program's test rotates and takes back its identities, and has
// the agent hang, refuse and die.
//
//	agent := spiffetest.New(t, spiffetest.Identity{ID: "spiffe://example.org/my-app"})
//	source, err := spiffe.NewX509Source(spiffe.WithAddress(agent.Address()))
//
// [Agent.Bundle] is what a server needs to trust its SVIDs.
package spiffetest

import (
	"crypto"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
)

// TrustDomain is the one of an [Agent].
const TrustDomain = "example.org"

// Agent serves the Workload API. Its methods may be called from many goroutines.
type Agent struct {
	t         testing.TB
	authority *authority
	plan      *plan
	network   string

	mu      sync.Mutex    // guards what follows
	listen  string        // for net.Listen
	address string        // of SPIFFE_ENDPOINT_SOCKET
	server  *grpc.Server  // nil: stopped
	served  chan struct{} // closed when server has let its listener go
}

// New starts an agent that ends with the test. Without identities it refuses everybody.
func New(t testing.TB, identities ...Identity) *Agent {
	t.Helper()
	a := &Agent{t: t, plan: newPlan(identities)}
	var err error
	if a.authority, err = newAuthority(TrustDomain); err != nil {
		t.Fatalf("spiffetest: %v", err)
	}
	if runtime.GOOS == "windows" { // where go-spiffe knows no Unix sockets
		a.network, a.listen = "tcp", "127.0.0.1:0"
	} else {
		folder, err := os.MkdirTemp("", "spiffe") // the path of a socket is short
		if err != nil {
			t.Fatalf("spiffetest: %v", err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(folder) })
		a.network, a.listen = "unix", filepath.Join(folder, "agent.sock")
		a.address = "unix://" + a.listen
	}
	a.Start()
	t.Cleanup(a.Stop)
	return a
}

// Address is the agent's, as in SPIFFE_ENDPOINT_SOCKET.
func (a *Agent) Address() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.address
}

// Start starts an agent that was stopped, at the same address.
func (a *Agent) Start() {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil {
		return
	}
	listener, err := net.Listen(a.network, a.listen)
	if err != nil {
		a.t.Fatalf("spiffetest: %v", err)
	}
	if a.network == "tcp" {
		a.listen = listener.Addr().String()
		a.address = "tcp://" + a.listen
	}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, &api{authority: a.authority, plan: a.plan})
	served := make(chan struct{})
	a.server, a.served = server, served
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
}

// Stop ends the agent and its connections, as if its process died.
func (a *Agent) Stop() {
	a.mu.Lock()
	server, served := a.server, a.served
	a.server = nil
	a.mu.Unlock()
	if server != nil {
		server.Stop()
		<-served // a server that hadn't begun to serve closes its listener only now
	}
}

// SetIdentities replaces the identities and sends the new ones. Without any, everybody is
// refused from now on.
func (a *Agent) SetIdentities(identities ...Identity) {
	a.plan.change(func(s *state) { s.identities = identities })
}

// Rotate makes new X.509-SVIDs and sends them.
func (a *Agent) Rotate() { a.plan.change(func(s *state) { s.generation++ }) }

// Hang lets the agent answer nothing until it is called with false. Streams stay open.
func (a *Agent) Hang(hang bool) { a.plan.change(func(s *state) { s.hung = hang }) }

// Fail ends every stream and every call with an error, such as one of gRPC's package
// status, until it is called with nil.
func (a *Agent) Fail(err error) { a.plan.change(func(s *state) { s.failure = err }) }

// Streams is how many streams of X.509-SVIDs were opened.
func (a *Agent) Streams() int { return int(a.plan.streams.Load()) }

// JWTRequests is how often JWT-SVIDs were asked for.
func (a *Agent) JWTRequests() int { return int(a.plan.jwts.Load()) }

// JWTKey is what JWT-SVIDs are signed with, for a server that knows their issuer by its keys
// and not by the bundle, as Entra ID does.
func (a *Agent) JWTKey() crypto.PublicKey { return a.authority.key.Public() }

// Bundle is the trust domain's bundle: the JWK Set that SPIRE's server shows too, with the
// authorities of X.509-SVIDs and those of JWT-SVIDs.
func (a *Agent) Bundle() []byte {
	a.t.Helper()
	bundle, err := a.authority.bundle()
	if err != nil {
		a.t.Fatalf("spiffetest: %v", err)
	}
	return bundle
}
