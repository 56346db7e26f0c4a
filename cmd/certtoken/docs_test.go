package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The documents' shell blocks say what they are by their info string:
//
//	sh run           runs and must succeed
//	sh run fails     runs and must fail
//	sh serve         one command that runs until the next one or the page's end
//	sh client        a client in another language, which the tests in interop run
//	sh live          needs the live service, says so in its first line, isn't run
//	text output      what the block before it prints; … stands for anything, alone for lines
//
// Blocks for Windows are in docs_powershell_test.go.
//
// All blocks of a page run in one folder, in their order.
const docsFolder = "../../docs"

// These are the addresses that the documents serve at; here they are others, which
// are free.
const (
	docsAddress      = "127.0.0.1:8443"
	docsAgentAddress = defaultAgentListen
)

const liveNote = "# needs the live service"

type docBlock struct{ info, body string }

var docFence = regexp.MustCompile("(?ms)^```([^\\n]*)\\n(.*?)^```$")

func docBlocks(t *testing.T, path string) []docBlock {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []docBlock
	for _, m := range docFence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, docBlock{info: strings.Join(strings.Fields(m[1]), " "), body: m[2]})
	}
	return blocks
}

func docPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(docsFolder, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return pages
}

// Every shell block of the documents is run, or says why it can't be.
func TestDocumentedCommandsAreMarked(t *testing.T) {
	runnable := []string{"sh run", "sh run fails", "sh serve"}
	known := append(slices.Clone(runnable), "sh client", "sh client prepares", "sh live")
	run := 0
	for _, page := range docPages(t) {
		for _, block := range docBlocks(t, page) {
			language, _, _ := strings.Cut(block.info, " ")
			if !slices.Contains([]string{"sh", "bash", "shell", "console", ""}, language) {
				continue
			}
			if !slices.Contains(known, block.info) {
				t.Errorf("%s: a block is marked %q, and not as one of %q:\n%s", page, block.info, known, block.body)
			}
			if slices.Contains(runnable, block.info) {
				run++
			}
			if strings.HasPrefix(block.info, "sh client") && filepath.Base(page) != "clients.md" {
				t.Errorf("%s: nothing runs this block:\n%s", page, block.body)
			}
			if block.info == "sh live" && !strings.HasPrefix(block.body, liveNote) {
				t.Errorf("%s: a block for the live service doesn't begin with %q:\n%s", page, liveNote, block.body)
			}
		}
	}
	if run < 20 {
		t.Errorf("only %d blocks are run", run)
	}
}

// The documents' commands do what the documents say.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs a hundred commands; the long tests do that")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the commands need a POSIX shell")
	}
	for _, program := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed, and CI=true", program)
			}
			t.Skipf("%s is not installed", program)
		}
	}
	path := buildCommand(t) + string(os.PathListSeparator) + os.Getenv("PATH")
	for _, page := range docPages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			p := &docPage{dir: t.TempDir(), path: path, address: freeAddress(t), agent: freeAddress(t)}
			defer p.endServe(t)
			defer p.endJobs()
			for _, block := range docBlocks(t, page) {
				p.do(t, block)
			}
		})
	}
}

// docPage is a page whose blocks are being run.
type docPage struct {
	dir     string
	path    string // PATH
	address string
	agent   string // the agent's address
	output  string // of the block before
	server  *exec.Cmd
	rest    chan struct{} // closed when the server's output has ended
}

// do does what the block is marked for.
func (p *docPage) do(t *testing.T, block docBlock) {
	t.Helper()
	switch block.info {
	case "sh run", "sh run fails":
		out, err := p.command(block.body).CombinedOutput()
		p.output = string(out)
		if (err != nil) != strings.HasSuffix(block.info, "fails") {
			t.Fatalf("%v\n%s\n%s", err, block.body, out)
		}
	case "powershell run":
		p.runPowerShell(t, block.body)
	case "sh serve", "powershell serve":
		p.endServe(t)
		p.serve(t, block.body)
	case "text output":
		p.compare(t, block.body)
	}
}

func (p *docPage) command(script string) *exec.Cmd {
	script = strings.NewReplacer(docsAddress, p.address, docsAgentAddress, p.agent).Replace(script)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = p.dir
	cmd.Env = append(cleanEnviron(), "PATH="+p.path, "TZ=UTC", "HOME="+p.dir, "TMPDIR="+p.dir)
	return cmd
}

// cleanEnviron is the environment without what changes the command's defaults, and without
// proxies: some programs would ask one for what is on this machine.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(v), "=")
		return strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "CERTTOKEN_") ||
			strings.HasSuffix(name, "_PROXY")
	})
}

// serve starts a server and waits until it says that it is there.
func (p *docPage) serve(t *testing.T, script string) {
	t.Helper()
	p.server = p.command("exec " + script)
	out, err := p.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	p.server.Stderr = &log
	if err := p.server.Start(); err != nil {
		t.Fatal(err)
	}
	p.rest = make(chan struct{})
	lines := bufio.NewScanner(out)
	p.output = ""
	for lines.Scan() {
		p.output += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Interrupt it") {
			go func() { defer close(p.rest); _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	close(p.rest)
	p.endServe(t)
	t.Fatalf("the server didn't start:\n%s\n%s%s", script, p.output, log.String())
}

func (p *docPage) endServe(t *testing.T) {
	t.Helper()
	if p.server == nil {
		return
	}
	_ = p.server.Process.Signal(os.Interrupt)
	<-p.rest
	if err := p.server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	p.server = nil
}

// endJobs ends what a block has left in the background, whose process ids are in files.
func (p *docPage) endJobs() {
	files, _ := filepath.Glob(filepath.Join(p.dir, "*.pid")) // the pattern is right
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			if process, err := os.FindProcess(pid); err == nil && p.mayEnd(pid) {
				_ = process.Kill() // it may have ended
			}
		}
	}
}

// mayEnd reports whether a process is one of the page's: after its end another program may
// have got its number. Only Linux tells where a process works.
func (p *docPage) mayEnd(pid int) bool {
	if runtime.GOOS != "linux" {
		return true
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	own, err := filepath.EvalSymlinks(p.dir)
	return err == nil && dir == own
}

// compare checks what the block before printed.
func (p *docPage) compare(t *testing.T, want string) {
	t.Helper()
	got := strings.NewReplacer(p.address, docsAddress, p.agent, docsAgentAddress).Replace(p.output)
	if !docPattern(want).MatchString(trimLines(got)) {
		t.Errorf("the document says\n%s\nand it is\n%s", want, got)
	}
}

// docPattern is an output as a document shows it: … stands for anything in a
// line, and alone for lines.
func docPattern(output string) *regexp.Regexp {
	var lines []string
	for line := range strings.SplitSeq(trimLines(output), "\n") {
		if line == "…" {
			lines = append(lines, "(?s:.*)")
			continue
		}
		lines = append(lines, strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	return regexp.MustCompile("^" + strings.Join(lines, "\n") + "$")
}

// A document's output that isn't the command's is noticed.
func TestDocumentedOutput(t *testing.T) {
	tests := []struct {
		want, got string
		match     bool
	}{
		{"a … c\n", "a b c", true},
		{"a\n…\nd\n", "a\nb\nc\nd", true},
		{"a … c\n", "a b\nc", false},
		{"a.c\n", "abc", false},
		{"a\n", "a\nb", false},
		{"a\n…\n", "b\nb", false},
	}
	for _, tt := range tests {
		if got := docPattern(tt.want).MatchString(tt.got); got != tt.match {
			t.Errorf("%q shown as %q: %v", tt.got, tt.want, got)
		}
	}
}

// trimLines is text without blanks at the ends of lines and of the whole.
func trimLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, " \t\r\n"))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// freeAddress is an address of this machine where nobody listens, nor will until the test
// does. A port of 127.0.0.1 may be somebody else's a moment later: many programs and tests have
// the system choose one there. On Linux every address that begins with 127 is this machine's,
// and nobody else uses the one that is chosen here.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" { // short, and always as long: some outputs are wrapped
		host = fmt.Sprintf("127.0.%d.%d", 10+rand.N(90), 10+rand.N(90))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
