package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
)

// wayOut says, in a process of this test program, that it runs another program in a
// network that has nothing but loopback. Its value is a list of addresses outside, and of
// a Unix socket for each that leads there: "127.0.0.1:8080=/tmp/1/0 127.0.0.1:8443=/tmp/1/1".
const wayOut = "CERTTOKEN_INTEROP_WAY_OUT"

// leadOut passes connections for the addresses on to the sockets, which belong to another
// network, for as long as a command runs. It returns the command's exit code.
func leadOut(ways string, command []string) int {
	for _, way := range strings.Fields(ways) {
		address, socket, _ := strings.Cut(way, "=")
		listener, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go accept(listener, passOn("unix", socket))
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var failed *exec.ExitError
	if err := cmd.Run(); errors.As(err, &failed) {
		return failed.ExitCode()
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// accept hands each connection to a goroutine of its own, and returns when the listener
// is closed and all of them have ended.
func accept(listener net.Listener, handle func(net.Conn)) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		all.Go(func() { handle(conn) })
	}
}

// passOn connects each connection with an address.
func passOn(network, address string) func(net.Conn) {
	return func(conn net.Conn) {
		to, err := net.Dial(network, address)
		if err != nil {
			_ = conn.Close()
			return
		}
		relay(conn, to)
	}
}

// relay copies both ways until either side ends.
func relay(one, other net.Conn) {
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(other, one)
		_ = other.Close()
	})
	_, _ = io.Copy(one, other)
	_ = one.Close()
	back.Wait()
}

// lacksNetwork returns why there can be no network for one program.
var lacksNetwork = sync.OnceValue(func() error {
	out, err := exec.Command("unshare", "-rn", "ip", "link", "set", "lo", "up").CombinedOutput()
	if err != nil {
		return fmt.Errorf("unshare: %w %s", err, out)
	}
	return nil
})

// alone returns a command for a program as its users run it, in a network where every
// name leads to the test's server. There is the server's own address, and a proxy, of
// which the program is told by the variables that such programs know, as of the CA.
func (s *stage) alone(ctx context.Context, name string, args ...string) *exec.Cmd {
	s.Helper()
	lacks(s.T, lacksNetwork(), "the client would ask other hosts, and there can be no network of its own")
	proxy := s.openedProxy().String()
	own, err := os.Executable()
	require.NoError(s, err)
	args = append([]string{"-rn", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, own, name}, args...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Dir = "clients"
	ca := s.caFile()
	cmd.Env = append(cleanEnviron(), wayOut+"="+s.ways, "PYTHONDONTWRITEBYTECODE=1",
		"REQUESTS_CA_BUNDLE="+ca, "SSL_CERT_FILE="+ca, "NODE_EXTRA_CA_CERTS="+ca,
		"HTTPS_PROXY="+proxy, "https_proxy="+proxy, "HTTP_PROXY="+proxy, "http_proxy="+proxy)
	return cmd
}

// cleanEnviron is the environment without what tells clients of other identities or
// other ways to a server.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(v), "=")
		return strings.HasPrefix(name, "AZURE_") || strings.HasSuffix(name, "_PROXY")
	})
}

// openedProxy starts the proxy, and the socket by which it is reached from other
// networks, where that isn't done yet. It returns the proxy's address.
func (s *stage) openedProxy() *url.URL {
	if s.proxy != nil {
		return s.proxy.URL()
	}
	s.proxy = certtokentest.NewProxy(s, s.server)
	folder, err := os.MkdirTemp("", "certtoken-*") // a socket's path must be short
	require.NoError(s, err)
	s.Cleanup(func() { _ = os.RemoveAll(folder) })
	var ways []string
	for i, address := range []string{s.proxy.URL().Host, strings.TrimPrefix(s.server.URL(), "https://")} {
		socket := filepath.Join(folder, strconv.Itoa(i))
		listener, err := net.Listen("unix", socket)
		require.NoError(s, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			accept(listener, passOn("tcp", address))
		}()
		s.Cleanup(func() {
			_ = listener.Close()
			<-ended
		})
		ways = append(ways, address+"="+socket)
	}
	s.ways = strings.Join(ways, " ")
	return s.proxy.URL()
}

// startAlone starts a program that answers jobs, in a network of its own.
func (s *stage) startAlone(name string, args ...string) user {
	s.Helper()
	return s.converse(s.alone(context.Background(), name, args...)) // it ends with its standard input
}

// A program in a network of its own reaches the test's server, and nothing else.
func TestAlone(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("curl")
	lacks(t, err, "curl is not installed")
	s := &stage{T: t, server: certtokentest.NewServer(t)}
	metadata := "https://login.microsoftonline.com/" + clientTenant + "/v2.0/.well-known/openid-configuration"
	out, err := s.alone(t.Context(), "curl", "--silent", "--show-error", "--cacert", s.caFile(),
		metadata).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "https://login.microsoftonline.com/"+clientTenant+"/oauth2/v2.0/token")
	require.Equal(t, []string{"login.microsoftonline.com:443"}, s.proxy.Hosts())
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	out, err = s.alone(t.Context(), "curl", "--silent", "--show-error", "--noproxy", "*",
		elsewhere.URL).CombinedOutput()
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed, "%s", out)
	require.Equal(t, 7, failed.ExitCode(), "curl can't connect: %s", out)
}
