//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/creack/pty"
)

// session is a program on a pseudo-terminal.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	tty    *os.File
	mu     sync.Mutex
	screen bytes.Buffer
	ended  chan struct{}
}

// start runs certtoken on a terminal of 80 columns.
func start(t *testing.T, dir string, env []string, args ...string) *session {
	t.Helper()
	s := &session{t: t, cmd: exec.Command("certtoken", args...), ended: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append(cleanEnviron(), "TERM=xterm", "NO_COLOR=", "TZ=UTC")
	s.cmd.Env = append(s.cmd.Env, env...)
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	s.tty = tty
	t.Cleanup(func() { tty.Close() })
	go s.read()
	return s
}

func (s *session) read() {
	defer close(s.ended)
	buf := make([]byte, 4096)
	for {
		n, err := s.tty.Read(buf)
		s.mu.Lock()
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil { // the program has ended
			return
		}
	}
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

// expect waits until the screen shows text.
func (s *session) expect(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(s.text(), text) {
			return
		}
	}
	s.t.Fatalf("the screen doesn't show %q:\n%s", text, s.text())
}

// hidden waits until the terminal doesn't show what is typed.
func (s *session) hidden() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !echoes(s.t, s.tty) {
			return
		}
	}
	s.t.Fatal("the terminal shows what is typed")
}

func (s *session) typeIn(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, text); err != nil {
		s.t.Fatal(err)
	}
}

// wait returns the exit status.
func (s *session) wait() int {
	s.t.Helper()
	limit := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer limit.Stop()
	err := s.cmd.Wait()
	<-s.ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

const typedPassword = "typed ü secret"

// pfx writes a PFX under typedPassword.
func pfx(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cert := certtokentest.NewCertificate(t, certtokentest.WithSubject("prompted"))
	data, err := selfsigned.EncodePFX(cert, typedPassword, selfsigned.PFXLegacy)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "private.pfx"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A PFX isn't shown on a terminal; a PEM is what was asked for.
func TestConvertToTerminal(t *testing.T) {
	t.Parallel()
	dir := pfx(t)
	env := []string{envPassword + "=" + typedPassword}
	s := start(t, dir, env, "cert", "convert", "private.pfx", "-", "--to", "pfx", "--out-no-password")
	if status := s.wait(); status != statusUsage {
		t.Errorf("exit status %d:\n%q", status, s.text())
	}
	s.expect("a PFX isn't text for a terminal")
	s = start(t, dir, env, "cert", "convert", "private.pfx", "-")
	if status := s.wait(); status != statusDone {
		t.Errorf("exit status %d", status)
	}
	s.expect("-----BEGIN CERTIFICATE-----")
}

func TestPromptOpensFile(t *testing.T) {
	t.Parallel()
	s := start(t, pfx(t), nil, "cert", "show", "private.pfx")
	s.expect("Password of private.pfx: ")
	s.hidden()
	s.typeIn(typedPassword + "\n")
	if status := s.wait(); status != statusDone {
		t.Errorf("exit status %d:\n%s", status, s.text())
	}
	s.expect("CN=prompted")
	if strings.Contains(s.text(), "secret") {
		t.Errorf("the password is shown:\n%s", s.text())
	}
}

func TestPromptWrongPassword(t *testing.T) {
	t.Parallel()
	s := start(t, pfx(t), nil, "cert", "show", "private.pfx")
	s.expect("Password of private.pfx: ")
	s.hidden()
	s.typeIn("wrong\n")
	if status := s.wait(); status != statusCertificate {
		t.Errorf("exit status %d", status)
	}
	s.expect("wrong password")
	s.expect("The password came from the terminal.")
}

// An interrupt at the prompt ends the program and gives the terminal back as it
// was.
func TestPromptInterrupted(t *testing.T) {
	t.Parallel()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	cmd := exec.Command("certtoken", "cert", "show", "private.pfx")
	cmd.Dir = pfx(t)
	cmd.Stdin = slave
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); echoes(t, slave); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the terminal shows what is typed")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != statusInterrupted {
		t.Errorf("exit status %d", status)
	}
	if !strings.Contains(out.String(), "certtoken: interrupted") {
		t.Errorf("standard error: %s", &out)
	}
	if !echoes(t, slave) {
		t.Error("the terminal doesn't show what is typed any more")
	}
}

func TestPromptNewPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, nil, "cert", "new", "--subject", "typed")
	s.expect("New password of private.pfx: ")
	s.hidden()
	s.typeIn(typedPassword + "\n")
	s.expect("Once more: ")
	s.hidden()
	s.typeIn(typedPassword + "\n")
	if status := s.wait(); status != statusDone {
		t.Fatalf("exit status %d:\n%s", status, s.text())
	}
	cmd := exec.Command("certtoken", "cert", "show", "private.pfx", "--password-env", "P")
	cmd.Dir = dir
	cmd.Env = append(cleanEnviron(), "P="+typedPassword)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPromptNewPasswordsDiffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, nil, "cert", "new", "--subject", "typed")
	s.expect("New password of private.pfx: ")
	s.hidden()
	s.typeIn("one\n")
	s.expect("Once more: ")
	s.hidden()
	s.typeIn("two\n")
	if status := s.wait(); status != statusFailure {
		t.Errorf("exit status %d", status)
	}
	s.expect("the two passwords differ")
	if _, err := os.Stat(filepath.Join(dir, "private.pfx")); err == nil {
		t.Error("private.pfx was written")
	}
}

// A wait of over two seconds is shown on the terminal, in a line that moves and is erased.
func TestWaitIsShown(t *testing.T) {
	t.Parallel()
	asked, answers := make(chan struct{}, 100), make(chan struct{})
	flags := append([]string{"token", "--timeout", patience.String()}, grantsWhen(t, `{"aud":"api"}`, func() {
		asked <- struct{}{}
		<-answers
	})...)
	answer := sync.OnceFunc(func() { close(answers) })
	t.Cleanup(answer) // or else the server couldn't end
	withJSON := start(t, t.TempDir(), nil, append(slices.Clone(flags), "--json")...)
	var out bytes.Buffer
	piped := exec.Command("certtoken", flags...)
	piped.Dir, piped.Env, piped.Stdout, piped.Stderr = t.TempDir(), cleanEnviron(), &out, &out
	if err := piped.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // these two have waited for longer than the third when that shows something
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("the server isn't asked")
		}
	}
	s := start(t, t.TempDir(), nil, flags...)
	s.expect("| asking https://127.0.0.1:")
	s.expect("/ asking") // it moves
	answer()
	if status := s.wait(); status != statusDone {
		t.Fatalf("exit status %d:\n%s", status, s.text())
	}
	left := strings.Join(shownLines(s.text()), "\n")
	if !strings.HasPrefix(left, "eyJ") || strings.Contains(left, "asking") {
		t.Errorf("something is left of it: %q", left)
	}
	// Not with --json, nor where standard error is a file, and never on standard output.
	if status := withJSON.wait(); status != statusDone || strings.Contains(withJSON.text(), "asking") {
		t.Errorf("exit status %d: %q", status, withJSON.text())
	}
	if err := piped.Wait(); err != nil || strings.Contains(out.String(), "asking") {
		t.Errorf("%v: %q", err, &out)
	}
}

// shownLines are the lines that a terminal shows: what follows a carriage return stands over
// what was there.
func shownLines(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		var shown []rune
		for part := range strings.SplitSeq(line, "\r") {
			runes := []rune(part)
			shown = append(runes, shown[min(len(shown), len(runes)):]...)
		}
		lines = append(lines, strings.TrimRight(string(shown), " "))
	}
	return lines
}

// Who sits at a terminal is told what is waited for.
func TestInputIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil, "decode")
	s.expect("Paste the token, then press Enter and Ctrl-D.")
	s.typeIn("eyJhbGciOiJub25lIn0.eyJhdWQiOiJ0eXBlZCJ9.\n\x04")
	s.expect(`"aud": "typed"`)
	if status := s.wait(); status != statusDone {
		t.Errorf("exit status %d", status)
	}
	s = start(t, t.TempDir(), nil, "cert", "show", "-")
	s.expect("Paste the certificate, then press Enter and Ctrl-D.")
	s.typeIn("\x04")
	if status := s.wait(); status != statusCertificate {
		t.Errorf("exit status %d: %s", status, s.text())
	}
}

// A password that was given isn't asked for.
func TestNoPromptWithPassword(t *testing.T) {
	t.Parallel()
	s := start(t, pfx(t), []string{"P=" + typedPassword}, "cert", "show", "private.pfx", "--password-env", "P")
	if status := s.wait(); status != statusDone {
		t.Errorf("exit status %d", status)
	}
	if strings.Contains(s.text(), "Password of") {
		t.Errorf("asked:\n%s", s.text())
	}
}

// Colour is for terminals, and not for those who said no.
func TestColour(t *testing.T) {
	t.Parallel()
	dir := pfx(t)
	env := []string{"P=" + typedPassword}
	args := []string{"cert", "show", "private.pfx", "--password-env", "P"}
	s := start(t, dir, env, args...)
	s.wait()
	if !strings.Contains(s.text(), "\x1b[") {
		t.Error("no colour on a terminal")
	}
	for _, no := range []string{"NO_COLOR=1", "TERM=dumb"} {
		s = start(t, dir, append(env, no), args...)
		s.wait()
		if strings.Contains(s.text(), "\x1b[") {
			t.Errorf("colour in spite of %s", no)
		}
	}
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	cmd := exec.Command("stty", "-a")
	cmd.Stdin = tty
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(out), "-echo ")
}
