// Command ran runs go test for test.sh, prints what go test prints, and notes which
// tests passed. In the end it checks that the tests which SECURITY.md names are among
// them: a claim whose test exists but is skipped or never run is a claim without a test.
//
//	ran test RECORD [ARGUMENT OF go test]...
//	ran claims RECORD DOCUMENT [ARGUMENT OF go test]...
//
// RECORD is a file that every run adds to. The arguments of claims are those that the
// runs were given: where they left tests out, nothing is checked.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: ran test RECORD [ARGUMENT]... | ran claims RECORD DOCUMENT [ARGUMENT]...")
		os.Exit(2)
	}
	var err error
	switch args := os.Args[3:]; {
	case os.Args[1] == "test":
		err = test(os.Stdout, os.Args[2], args)
	case os.Args[1] == "claims" && len(args) > 0:
		err = claims(os.Stdout, os.Args[2], args[0], args[1:])
	default:
		err = fmt.Errorf("ran %s: not known", os.Args[1])
	}
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed): // go test has said why
		os.Exit(max(failed.ExitCode(), 1))
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// test runs go test. Its error is that of the command.
func test(out io.Writer, record string, args []string) error {
	notes, err := os.OpenFile(record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer notes.Close()
	// test.sh runs two at a time, of which the shell interrupts only one itself.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p := newPrinter(out, notes, isSet(args, "v"))
	read := p.read(events)
	if read != nil {
		_, _ = io.Copy(io.Discard, events) // so that the command can end
	}
	return errors.Join(cmd.Wait(), read, notes.Close())
}

// leaveOut are the flags of go test with which some tests don't run.
var leaveOut = []string{"short", "run", "skip", "list"}

// leavesOut reports whether arguments of go test leave tests out.
func leavesOut(args []string) bool {
	return slices.ContainsFunc(leaveOut, func(flag string) bool { return isSet(args, flag) })
}

// isSet reports whether a flag is among the arguments of go test.
func isSet(args []string, flag string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		return strings.HasPrefix(arg, "-") && strings.TrimPrefix(name, "test.") == flag && value != "false"
	})
}
