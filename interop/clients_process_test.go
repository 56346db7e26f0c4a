package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	clientAnswer = 10 * time.Minute // to one job; the first includes the program's start
	clientStop   = time.Minute      // then it is killed
)

// inFolder is a client in another language: a program of the folder clients.
type inFolder struct {
	in     io.Writer
	out    *bufio.Scanner
	kill   func()
	stderr *bytes.Buffer
}

// startClient runs a program that finds the server under every name, as its half of
// the conversation sees to that.
func (s *stage) startClient(name string, args ...string) user {
	s.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "clients"
	ca := s.caFile()
	cmd.Env = append(cleanEnviron(), "REACH="+strings.TrimPrefix(s.server.URL(), "https://"),
		"NODE_EXTRA_CA_CERTS="+ca, "REQUESTS_CA_BUNDLE="+ca, "PYTHONDONTWRITEBYTECODE=1", "no_proxy=*")
	return s.converse(cmd)
}

// converse starts a program that answers jobs. It ends with the test.
func (s *stage) converse(cmd *exec.Cmd) user {
	s.Helper()
	in, err := cmd.StdinPipe()
	require.NoError(s, err)
	out, err := cmd.StdoutPipe()
	require.NoError(s, err)
	p := &inFolder{
		in:     in,
		out:    bufio.NewScanner(out),
		kill:   func() { _ = cmd.Process.Kill() },
		stderr: new(bytes.Buffer),
	}
	p.out.Buffer(nil, 1<<20)
	cmd.Stderr = p.stderr
	require.NoError(s, cmd.Start())
	s.Cleanup(func() {
		_ = in.Close() // the program's signal to end
		defer time.AfterFunc(clientStop, p.kill).Stop()
		_ = cmd.Wait()
		if s.Failed() {
			s.Logf("%s wrote to stderr:\n%s", s.library.name, strings.TrimSpace(p.stderr.String()))
		}
	})
	return p
}

func (s *stage) caFile() string {
	if s.ca == "" {
		s.ca = filepath.Join(s.TempDir(), "ca.pem")
		require.NoError(s, os.WriteFile(s.ca, s.server.CAPEM(), 0o600))
	}
	return s.ca
}

func (p *inFolder) setup(t *testing.T, s setup) {
	t.Helper()
	require.Empty(t, p.ask(t, s).Error)
}

func (p *inFolder) do(t *testing.T, j job) result { return p.ask(t, j) }

func (p *inFolder) ask(t *testing.T, question any) (answer result) {
	t.Helper()
	defer time.AfterFunc(clientAnswer, p.kill).Stop()
	line, err := json.Marshal(question)
	require.NoError(t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err, "the client has ended")
	require.True(t, p.out.Scan(), "the client has ended: %v", p.out.Err())
	require.NoError(t, json.Unmarshal(p.out.Bytes(), &answer))
	return answer
}

// lacks skips the test for want of a program, or fails it on CI.
func lacks(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil {
		return
	}
	require.NotEqual(t, "true", os.Getenv("CI"), "CI must run this test: %s: %v", what, err)
	t.Skipf("%s: %v", what, err)
}

var clientPackages = sync.OnceValue(func() error { return npmPackages("clients") })

// node starts a program of Node's.
func node(program string) func(*stage) user {
	return func(s *stage) user {
		for _, program := range []string{"node", "npm"} {
			_, err := exec.LookPath(program)
			lacks(s.T, err, s.library.name+" needs Node.js")
		}
		require.NoError(s, clientPackages())
		return s.startClient("node", "--import", "./reach.mjs", program)
	}
}

// debianPython is the interpreter that Debian's packages are for, whichever
// else is in the PATH.
const debianPython = "/usr/bin/python3"

func python(module, program string) func(*stage) user {
	return func(s *stage) user {
		err := exec.Command(debianPython, "-c", "import requests, "+module).Run()
		lacks(s.T, err, "Debian's python3-"+module+" is not installed")
		return s.startClient(debianPython, program)
	}
}

// lockedVersion is that of an npm package.
func lockedVersion(name string) func(*testing.T) string {
	return func(t *testing.T) string {
		data, err := os.ReadFile(filepath.Join("clients", "package-lock.json"))
		require.NoError(t, err)
		var lock struct {
			Packages map[string]struct{ Version, Resolved string }
		}
		require.NoError(t, json.Unmarshal(data, &lock))
		for name, p := range lock.Packages {
			require.Empty(t, p.Resolved, "%s: the lock file must hold no download addresses", name)
		}
		return lock.Packages["node_modules/"+name].Version
	}
}

func requiredVersion(path string) func(*testing.T) string {
	return func(t *testing.T) string { return moduleVersion(t, path) }
}

// debianVersion is none: it is whichever Debian's release has.
func debianVersion(*testing.T) string { return "of Debian" }

// shell is curl.sh, which is run for each token.
type shell struct {
	stage *stage
	ca    string
	key   string
	set   setup
}

func newShell(s *stage) user {
	for _, program := range []string{"sh", "curl", "openssl"} {
		_, err := exec.LookPath(program)
		lacks(s.T, err, program+" is not installed")
	}
	return &shell{stage: s, ca: s.caFile(), key: filepath.Join(s.TempDir(), "private.pem")}
}

func (c *shell) setup(t *testing.T, s setup) {
	t.Helper()
	c.set = s
	require.NoError(t, os.WriteFile(c.key, []byte(s.Key), 0o600))
}

var accessToken = regexp.MustCompile(`"access_token":"([^"]+)"`)

func (c *shell) do(t *testing.T, j job) result {
	t.Helper()
	if j.Op != "token" {
		return result{Unsupported: true}
	}
	s := c.set
	thumbprint := s.X5TS256
	if s.Header == "x5t" {
		thumbprint = s.X5T
	}
	endpoint := s.Authority + "/oauth2/v2.0/token"
	cmd := exec.CommandContext(t.Context(), "sh", "./curl.sh")
	cmd.Dir = "clients"
	cmd.Env = append(cleanEnviron(), "ALG="+s.Alg, "HEADER="+s.Header, "THUMBPRINT="+thumbprint, "AUDIENCE="+endpoint,
		"TOKEN_URL="+endpoint, "CLIENT_ID="+s.ClientID, "SCOPE="+j.Scope, "KEY_FILE="+c.key, "CA_FILE="+c.ca,
		"REACH="+strings.TrimPrefix(c.stage.server.URL(), "https://"))
	out, err := cmd.Output()
	require.NoError(t, err)
	if m := accessToken.FindSubmatch(out); m != nil {
		return result{Token: string(m[1])}
	}
	return result{Error: string(out)}
}
