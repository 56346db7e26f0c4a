package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

const (
	serverStart = 5 * time.Minute // until it listens
	heldStop    = 2 * time.Minute // then it is killed
)

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

// startServer starts a command that listens on a number of ports of loopback, and waits until
// it does. It is given the ports, and ends with the test.
func startServer(t *testing.T, number int, command func(ports []string) []string) (ports []string) {
	t.Helper()
	for try := 1; ; try++ {
		ports = ports[:0]
		for range number {
			port, err := freePort()
			require.NoError(t, err)
			ports = append(ports, port)
		}
		h, err := startHeld(t.TempDir(), nil, command(ports)...)
		require.NoError(t, err)
		err = h.await(serverStart, func() bool { return !slices.ContainsFunc(ports, isSilent) })
		if err != nil && try < 3 && h.hasEnded() { // somebody may have taken a port
			h.stop()
			continue
		}
		t.Cleanup(func() {
			h.stop()
			if t.Failed() {
				t.Logf("%s wrote:\n%s", h.process.Args[4], h.log())
			}
		})
		require.NoError(t, err)
		return ports
	}
}

// isSilent reports whether nobody listens on a port of loopback.
func isSilent(port string) bool {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err == nil {
		_ = conn.Close()
	}
	return err != nil
}

func (h *held) hasEnded() bool {
	select {
	case <-h.ended:
		return true
	default:
		return false
	}
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
