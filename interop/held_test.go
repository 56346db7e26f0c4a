package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// held is another program, such as a proxy, that runs until it is stopped, or until
// the tests end in whatever way.
type held struct {
	process *exec.Cmd
	hold    *os.File      // while it is open, the program runs
	ended   chan struct{} // closed when it has ended
	logFile string
}

const heldStop = 10 * time.Second

// holdScript runs a command for as long as its own standard input is open.
const holdScript = `exec 3<&0
"$@" </dev/null 3<&- &
command=$!
(cat <&3 >/dev/null; kill $command 2>/dev/null) &
wait $command`

// startHeld starts a command, which writes into a log file of the folder.
func startHeld(folder string, env []string, command ...string) (*held, error) {
	h := &held{ended: make(chan struct{}), logFile: filepath.Join(folder, "log")}
	log, err := os.Create(h.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	h.process = exec.Command("sh", append([]string{"-c", holdScript, "sh"}, command...)...)
	h.process.Stdin, h.process.Stdout, h.process.Stderr = stdin, log, log
	h.process.Env = append(os.Environ(), env...)
	if err := h.process.Start(); err != nil {
		_ = hold.Close()
		return nil, err
	}
	h.hold = hold
	go func() {
		defer close(h.ended)
		_ = h.process.Wait()
	}()
	return h, nil
}

// startServer starts a command that listens on a port of loopback, and waits until it
// does. It ends with the test.
func startServer(t *testing.T, port string, command ...string) {
	t.Helper()
	h, err := startHeld(t.TempDir(), nil, command...)
	require.NoError(t, err)
	t.Cleanup(func() {
		h.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", command[0], h.log())
		}
	})
	require.NoError(t, h.await(20*time.Second, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}))
}

// await waits until the program answers.
func (h *held) await(limit time.Duration, answers func() bool) error {
	for end := time.Now().Add(limit); !answers(); {
		select {
		case <-h.ended:
			return fmt.Errorf("%v has ended:\n%s", h.process.Args[4:], h.log())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%v doesn't answer after %v:\n%s", h.process.Args[4:], limit, h.log())
		}
	}
	return nil
}

func (h *held) log() string {
	data, _ := os.ReadFile(h.logFile)
	return string(data)
}

func (h *held) stop() {
	_ = h.hold.Close() // the signal to end
	select {
	case <-h.ended:
	case <-time.After(heldStop):
		_ = h.process.Process.Kill()
		<-h.ended
	}
}

// freePort is one on which no program listens now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
