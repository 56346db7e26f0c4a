package interop

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	nodeAnswer = 30 * time.Second // to one question; the first includes its start
	nodeStop   = 5 * time.Second
)

// program is a server of the folder server under way.
type program struct {
	name string
	in   io.Writer
	out  *bufio.Scanner
	kill func()
	mu   sync.Mutex // one question at a time
}

// oidcProvider starts npm's oidc-provider, in its FAPI 2.0 profile or with
// everything that it has. It ends with the test.
func oidcProvider(t *testing.T, profile string) *judge {
	t.Helper()
	nodePackages.Do(func() { nodePackagesErr = installNodePackages() })
	require.NoError(t, nodePackagesErr)
	tlsCert := newTLSCertificate(t)
	server := startNode(t)

	var ready struct {
		Issuer   string `json:"issuer"`
		TokenURL string `json:"tokenURL"`
	}
	server.ask(t, map[string]string{"profile": profile, "key": tlsCert.keyPEM, "cert": tlsCert.certPEM}, &ready)
	j := &judge{
		name:     "oidc-provider " + providerVersion(t),
		issuer:   ready.Issuer,
		tokenURL: ready.TokenURL,
		http:     tlsCert.client(t),
		algorithms: []certtoken.Algorithm{
			certtoken.RS256,
			certtoken.RS384,
			certtoken.RS512,
			certtoken.PS256,
			certtoken.PS384,
			certtoken.PS512,
		},
		register: func(t *testing.T, r registration) {
			t.Helper()
			var done struct{ Registered string }
			server.ask(t, map[string]any{"id": r.id, "lifetime": r.lifetime.Seconds(), "jwks": r.jwks()}, &done)
			require.Equal(t, r.id, done.Registered)
		},
	}
	if profile == "fapi" {
		j.name += ", FAPI 2.0"
		j.algorithms = []certtoken.Algorithm{certtoken.PS256}
		own := newCertificate(t, "tls client")
		j.http.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{{
			Certificate: [][]byte{own.Leaf.Raw}, PrivateKey: own.Signer, Leaf: own.Leaf,
		}}
		j.bindsTokens = own.Leaf
	}
	return j
}

// lacksNode returns what is missing for oidc-provider.
func lacksNode() error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	return nil
}

var (
	nodePackages    sync.Once // fetched once
	nodePackagesErr error
)

func installNodePackages() error {
	if lockedProvider("package-lock.json") == lockedProvider(filepath.Join("node_modules", ".package-lock.json")) {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "server"
	if out, err := cmd.CombinedOutput(); err != nil {
		return &installError{err: err, output: string(out)}
	}
	return nil
}

type installError struct {
	err    error
	output string
}

func (e *installError) Error() string { return "npm ci: " + e.err.Error() + "\n" + e.output }
func (e *installError) Unwrap() error { return e.err }

// lockedProvider is oidc-provider's version in a lock file of the folder server; npm
// leaves one beside what it has installed. "" is none.
func lockedProvider(file string) string {
	data, err := os.ReadFile(filepath.Join("server", file))
	if err != nil {
		return ""
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	if json.Unmarshal(data, &lock) != nil {
		return ""
	}
	return lock.Packages["node_modules/oidc-provider"].Version
}

// providerVersion is that of the lock file, which is what runs.
func providerVersion(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("server", "package-lock.json"))
	require.NoError(t, err)
	var lock struct {
		Packages map[string]struct {
			Version  string
			Resolved string
		}
	}
	require.NoError(t, json.Unmarshal(data, &lock))
	for name, p := range lock.Packages {
		require.Empty(t, p.Resolved, "%s: the lock file must hold no download addresses", name)
	}
	return lock.Packages["node_modules/oidc-provider"].Version
}

func startNode(t *testing.T) *program {
	return startProgram(t, "oidc-provider", "node", "provider.mjs")
}

// startProgram starts one that is asked through its standard input and answers
// on its standard output. It ends with the test.
func startProgram(t *testing.T, name string, command ...string) *program {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "server"
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	s := &program{name: name, in: in, out: bufio.NewScanner(out), kill: func() { _ = cmd.Process.Kill() }}
	t.Cleanup(func() {
		_ = in.Close() // the server's signal to end
		defer time.AfterFunc(nodeStop, s.kill).Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote to stderr:\n%s", name, strings.TrimSpace(stderr.String()))
		}
	})
	return s
}

// ask sends one line and reads one.
func (s *program) ask(t *testing.T, question, answer any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer time.AfterFunc(nodeAnswer, s.kill).Stop()
	line, err := json.Marshal(question)
	require.NoError(t, err)
	_, err = s.in.Write(append(line, '\n'))
	require.NoError(t, err, "%s has ended", s.name)
	require.True(t, s.out.Scan(), "%s has ended: %v", s.name, s.out.Err())
	require.NoError(t, json.Unmarshal(s.out.Bytes(), answer))
}
