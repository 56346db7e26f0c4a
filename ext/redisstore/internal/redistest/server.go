// Package redistest starts Redis or Valkey for a test: servers of its own, on
// loopback, with their data in a folder of the test's.
package redistest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// programs are the servers that tests run against, as many as are installed.
var programs = []string{"redis-server", "valkey-server"}

// Each runs a test against every server program that is installed. CI must have
// one of them.
func Each(t *testing.T, test func(t *testing.T, program string)) {
	t.Helper()
	found := 0
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			found++
			t.Run(name, func(t *testing.T) { test(t, path) })
		}
	}
	if found > 0 {
		return
	}
	const missing = "neither redis-server nor valkey-server is installed (apt-get install redis-server)"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing + ", and CI needs one")
	}
	t.Skip(missing + ": nothing was tested")
}

// startLimit is how long a server may take to answer on a machine that is busy.
const startLimit = 5 * time.Minute

// anotherPort stands for a free port in the arguments of a server.
const anotherPort = "another-port"

// Server is a server program that a test started.
type Server struct {
	Addr string // host:port
	port int    // the one in place of anotherPort

	t       testing.TB
	program string
	args    []string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has
}

// Start starts a server and waits until it answers. It ends with the test.
func Start(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: program}
	t.Cleanup(s.Kill)
	dir := dataDir(t)
	for range 5 { // somebody else may take the port first
		port := freePort(t)
		s.port = freePort(t)
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s.args = append([]string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
			"--save", "", "--daemonize", "no", "--loglevel", "warning",
		}, args...)
		for i, arg := range s.args {
			if arg == anotherPort {
				s.args[i] = strconv.Itoa(s.port)
			}
		}
		if s.run() {
			return s
		}
	}
	t.Fatalf("%s doesn't start", program)
	return nil
}

// dataDir is a folder with a short name: a server changes to it.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Restart ends the process and starts another on the same address. Without
// persistence, everything is gone.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if !s.run() {
		s.t.Fatalf("%s doesn't start again", s.program)
	}
}

// run starts the process and reports whether it answers.
func (s *Server) run() bool {
	s.t.Helper()
	s.cmd, s.ended = exec.Command(s.program, s.args...), make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	for limit := time.Now().Add(startLimit); time.Now().Before(limit); {
		select {
		case <-s.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if s.answers() {
			return true
		}
	}
	s.Kill()
	return false
}

// answers asks by hand, as go-redis would log each try that is too early. It wants the answer
// of this very process: another server may have had the port first.
func (s *Server) answers() bool {
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("INFO server\r\nQUIT\r\n")); err != nil {
		return false
	}
	answer, _ := io.ReadAll(conn)
	return strings.Contains(string(answer), fmt.Sprintf("\r\nprocess_id:%d\r\n", s.cmd.Process.Pid))
}

// Kill ends the process at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// Process is the running server.
func (s *Server) Process() *os.Process { return s.cmd.Process }

// Client returns a client of the server, which the test closes.
func (s *Server) Client() *redis.Client { return NewClient(s.t, s.Addr) }

// NewClient returns a client of an address that honours contexts, as users are
// told to make it. The test closes it.
func NewClient(t testing.TB, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
