//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
)

// agentHome is a folder with all that an agent needs, and the endpoint that it asks.
type agentHome struct {
	dir, command, secret string
	endpoint             *certtokentest.Server
}

// newAgentHome writes a configuration. The extra lines are callers.
func newAgentHome(t *testing.T, callers ...string) *agentHome {
	t.Helper()
	dir, err := os.MkdirTemp("", "ct") // a short name, because that of a socket is bounded
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	h := &agentHome{dir: dir, secret: newSecret(), endpoint: certtokentest.NewServer(t)}
	h.command = filepath.Join(buildCommand(t), "certtoken")
	cert := certtokentest.NewCertificate(t)
	h.endpoint.Register("my-app", cert.Leaf)
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	h.write(t, "app.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	h.write(t, "ca.pem", string(h.endpoint.CAPEM()))
	h.write(t, "app.secret", h.secret)
	h.write(t, "agent.yaml", `listen: `+freeAddress(t)+`
socket: agent.sock
identities:
  - name: app
    authority: entra
    token_url: `+h.endpoint.TokenURL()+`
    ca: ca.pem
    client_id: my-app
    certificate: app.pem
    scopes: ["https://graph.microsoft.com/.default", "https://*.vault.azure.net/.default"]
    callers:
      - secret_file: app.secret
`+strings.Join(callers, ""))
	return h
}

func (h *agentHome) path(name string) string { return filepath.Join(h.dir, name) }

func (h *agentHome) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(h.path(name), []byte(text), 0o600))
}

// agentProcess is a running agent.
type agentProcess struct {
	*exec.Cmd
	base string // URL
	log  *os.File
	once sync.Once
}

// start starts the agent by a command line, in which $AGENT is the agent's.
func (h *agentHome) start(t *testing.T, change func(*exec.Cmd)) *agentProcess {
	t.Helper()
	log, err := os.CreateTemp(h.dir, "log")
	require.NoError(t, err)
	p := &agentProcess{Cmd: exec.Command(h.command, "agent", "--config", "agent.yaml"), log: log}
	p.Dir, p.Stderr = h.dir, log
	if change != nil {
		change(p.Cmd)
	}
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { p.kill(); log.Close() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "Endpoint"); ok {
			p.base = strings.TrimSuffix(strings.TrimSpace(url), "/msi/token")
		}
		if strings.HasPrefix(lines.Text(), "Interrupt it") {
			return p
		}
	}
	t.Fatalf("the agent didn't start:\n%s", p.text())
	return nil
}

func (p *agentProcess) text() string {
	text, _ := os.ReadFile(p.log.Name())
	return string(text)
}

// kill kills it, as an accident does.
func (p *agentProcess) kill() {
	p.once.Do(func() {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()
	})
}

// ask asks as an SDK does.
func (h *agentHome) ask(client *http.Client, base, resource string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, base+"/msi/token?api-version=2019-08-01&resource="+resource, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-IDENTITY-HEADER", h.secret)
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}

// A thousand callers notice little of a kill and a restart, and the endpoint is asked
// once for each scope. The memory doesn't grow.
func TestAgentUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	h := newAgentHome(t)
	scraped := freeAddress(t)
	quiet := func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, "--quiet", "--metrics", scraped)
		cmd.Env = append(cleanEnviron(), "GOGC=10") // so that the process has little more than is in use
	}
	first := h.start(t, quiet)
	resources := []string{"https://graph.microsoft.com", "https://mine.vault.azure.net"}
	var stop atomic.Bool
	restarted := make(chan struct{})
	release := sync.OnceFunc(func() { close(restarted) })
	t.Cleanup(release)
	const callers = 32
	var requests [callers]atomic.Int64
	// each waits until every caller has made so many requests more, and returns how many all
	// made.
	each := func(n int64) (made int64) {
		t.Helper()
		var begin [callers]int64
		for i := range begin {
			begin[i] = requests[i].Load()
		}
		require.Eventually(t, func() bool {
			for i := range begin {
				if requests[i].Load() < begin[i]+n {
					return false
				}
			}
			return true
		}, patience, 10*time.Millisecond)
		for i := range begin {
			made += requests[i].Load() - begin[i]
		}
		return made
	}
	errs := make([][]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			transport := &http.Transport{}
			client := &http.Client{Transport: transport}
			defer transport.CloseIdleConnections()
			for !stop.Load() {
				if _, err := h.ask(client, first.base, resources[i%2]); err != nil {
					errs[i] = append(errs[i], err)
					<-restarted // an SDK pauses too
				}
				requests[i].Add(1)
			}
		})
	}
	each(200)
	// Without a leak it grows by less than 1 MiB, and these are 5 MiB or more. What it takes
	// once, such as for the threads that a busy machine has it start, it doesn't take again: a
	// leak grows in each of several stretches.
	for stretch := 1; ; stretch++ {
		warm, begin := memoryOf(t, first), time.Now()
		made := each(600)
		t.Logf("%.0f requests/s with %d connections, from cache", float64(made)/time.Since(begin).Seconds(), callers)
		grown := memoryOf(t, first) - warm
		if grown <= 256*made {
			break
		}
		require.Less(t, stretch, 4, "the memory grew again and again, at last by %d bytes in %d requests", grown, made)
	}
	require.Len(t, h.endpoint.Requests(), len(resources), "one request a scope")
	answer, err := http.Get("http://" + scraped + metricsPath)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Regexp(t, `(?m)^certtoken_cache_lookups_total\{.*="hit",identity="app"\} \d{3,}$`, string(text))
	require.Regexp(t, `(?m)^certtoken_request_duration_seconds_count\{.*identity="app"\} 2$`, string(text))
	require.Regexp(t, `(?m)^certtoken_certificate_time_to_expiry_seconds\{.*identity="app"\} `, string(text))
	first.kill()
	second := h.start(t, quiet)
	release()
	each(20)
	stop.Store(true)
	all.Wait()
	require.Equal(t, first.base, second.base)
	require.Len(t, h.endpoint.Requests(), 2*len(resources), "and one more after the restart")
	for i, of := range errs {
		require.LessOrEqual(t, len(of), 1, "caller %d: %v", i, of)
	}
}

// memoryOf is what a process has in memory.
func memoryOf(t *testing.T, p *agentProcess) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			require.NoError(t, err)
			return kilobytes << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// systemd hands over the sockets, and is told what happens.
func TestAgentUnderSystemd(t *testing.T) {
	h := newAgentHome(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	unix, err := net.Listen("unix", h.path("agent.sock"))
	require.NoError(t, err)
	defer unix.Close()
	config, err := os.ReadFile(h.path("agent.yaml"))
	require.NoError(t, err)
	lines := strings.SplitN(string(config), "\n", 3)
	h.write(t, "agent.yaml", "listen: "+tcp.Addr().String()+"\nsocket: "+h.path("agent.sock")+"\n"+lines[2])
	states, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: h.path("notify"), Net: "unixgram"})
	require.NoError(t, err)
	defer states.Close()
	state := func() string {
		t.Helper()
		require.NoError(t, states.SetReadDeadline(time.Now().Add(patience)))
		text := make([]byte, 1024)
		n, err := states.Read(text)
		require.NoError(t, err)
		return string(text[:n])
	}
	tcpFile, err := tcp.(*net.TCPListener).File()
	require.NoError(t, err)
	unixFile, err := unix.(*net.UnixListener).File()
	require.NoError(t, err)
	p := h.start(t, func(cmd *exec.Cmd) {
		cmd.Path = "/bin/sh"
		cmd.Args = []string{"sh", "-c", `LISTEN_PID=$$ exec "$0" agent --config agent.yaml`, h.command}
		cmd.Env = append(cleanEnviron(), "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "NOTIFY_SOCKET="+h.path("notify"))
		cmd.ExtraFiles = []*os.File{unixFile, tcpFile}
	})
	require.Equal(t, "READY=1\nSTATUS=handing out tokens", state())
	require.Equal(t, "http://"+tcp.Addr().String(), p.base)
	_, err = h.ask(http.DefaultClient, p.base, "https://graph.microsoft.com")
	require.NoError(t, err)
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	require.Contains(t, state(), "RELOADING=1")
	require.Contains(t, state(), "READY=1")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "STOPPING=1", state())
	require.NoError(t, p.Wait())
	_, err = os.Stat(h.path("agent.sock"))
	require.NoError(t, err, "the socket stays systemd's")
	require.NotContains(t, p.text(), h.secret)
}

// The command checks whose process answers at a socket before it says anything.
func TestAgentOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		require.NotEqual(t, "true", os.Getenv("CI"), "CI must be root")
		t.Skip("only root can become another user")
	}
	h := newAgentHome(t)
	require.NoError(t, os.Chmod(h.dir, 0o777|os.ModeSticky))
	asked := make(chan string, 10)
	path := h.path("evil.sock")
	// Another user's process listens: the kernel states who that was when it began.
	listening := asOther(t, func() (net.Listener, error) { return net.Listen("unix", path) })
	defer listening.Close()
	go func() {
		for {
			conn, err := listening.Accept()
			if err != nil {
				close(asked)
				return
			}
			text, _ := io.ReadAll(io.LimitReader(conn, 1))
			asked <- string(text)
			conn.Close()
		}
	}()
	run := func(args ...string) string {
		args = append([]string{"token", "--agent", path, "--scope", "x", "--timeout", patience.String()}, args...)
		cmd := exec.Command(h.command, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.Error(t, cmd.Run())
		return out.String()
	}
	require.Contains(t, run(), "it runs as user 4321, who is neither root nor you")
	require.Empty(t, <-asked, "nothing was sent")
	require.NotContains(t, run("--agent-user", "4321"), "neither root nor you")
	require.Equal(t, "P", <-asked)
	require.Contains(t, run("--cert", "x.pem"), "--agent and --cert exclude each other")
}

// asOther calls a function in a thread that is another user, and which ends with it.
func asOther(t *testing.T, f func() (net.Listener, error)) net.Listener {
	t.Helper()
	type result struct {
		listener net.Listener
		err      error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), 4321, ^uintptr(0)); errno != 0 {
			done <- result{err: errno}
			return
		}
		listener, err := f()
		done <- result{listener, err}
	}()
	r := <-done
	require.NoError(t, r.err)
	return r.listener
}
