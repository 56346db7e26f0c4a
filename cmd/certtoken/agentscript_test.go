package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// startedAgent is a "certtoken agent" that a script has started.
type startedAgent struct {
	cmd  *exec.Cmd
	log  *os.File
	rest chan struct{} // closed when its standard output has ended
	done bool
}

// lastAgent is the agent that each script has started last.
var lastAgent sync.Map

// agent LOG ARGS… starts "certtoken agent" and waits until it listens. Its standard
// error goes to the file LOG, its process id into $AGENT_PID, and its URL into
// $AGENT_URL.
func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: agent log args…; use status for one that fails")
	}
	log, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	a := &startedAgent{log: log, rest: make(chan struct{})}
	a.cmd = exec.Command("certtoken", append([]string{"agent"}, args[1:]...)...)
	a.cmd.Dir = ts.MkAbs(".")
	a.cmd.Env = append(cleanEnviron(), "TZ=UTC", "GOCOVERDIR="+ts.Getenv("GOCOVERDIR"))
	a.cmd.Stderr = log
	out, err := a.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(a.cmd.Start())
	lastAgent.Store(ts, a)
	ts.Defer(func() { a.end(ts) })
	ts.Setenv("AGENT_PID", strconv.Itoa(a.cmd.Process.Pid))
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "Endpoint"); ok {
			ts.Setenv("AGENT_URL", strings.TrimSuffix(strings.TrimSpace(url), "/msi/token"))
		}
		if strings.HasPrefix(lines.Text(), "Interrupt it") {
			go func() { defer close(a.rest); _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	close(a.rest)
	text, _ := os.ReadFile(log.Name())
	ts.Fatalf("agent: it didn't start\n%s", text)
}

// endagent interrupts the agent that was started last.
func cmdEndAgent(ts *testscript.TestScript, _ bool, _ []string) {
	a, ok := lastAgent.Load(ts)
	if !ok {
		ts.Fatalf("no agent runs")
	}
	a.(*startedAgent).end(ts)
}

func (a *startedAgent) end(ts *testscript.TestScript) {
	if a.done {
		return
	}
	a.done = true
	_ = a.cmd.Process.Signal(os.Interrupt) // it may have ended
	<-a.rest
	err := a.cmd.Wait()
	text, _ := os.ReadFile(a.log.Name())
	if a.log.Close(); err != nil {
		ts.Fatalf("agent: %v\n%s", err, text)
	}
}

// waitlog FILE REGEXP waits until a file that grows has it.
func cmdWaitLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitlog file regexp")
	}
	wanted := regexp.MustCompile(args[1])
	for start := time.Now(); time.Since(start) < patience; time.Sleep(50 * time.Millisecond) {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && wanted.Match(text) {
			return
		}
	}
	text, _ := os.ReadFile(ts.MkAbs(args[0]))
	ts.Fatalf("%s never had %s:\n%s", args[0], args[1], text)
}
