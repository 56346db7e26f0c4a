package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientsPage is the page about clients of other languages. Its blocks say what they are
// by their info string; those that cmd/certtoken's tests run too are as there:
//
//	sh run                   runs
//	sh serve                 the endpoint, until the page's end
//	js file, python file …   is written to the file that its first line names
//	sh client                prints an access token of the endpoint
//	sh client prepares       runs
//
// What comes before the first client runs first; then the sections run at once.
const (
	clientsPage    = "../docs/clients.md"
	clientsAddress = "127.0.0.1:8443" // for which there is a free one here
)

var pageFence = regexp.MustCompile("(?ms)^```([^\\n]*)\\n(.*?)^```$")

// page is the page, as its blocks are being run.
type page struct {
	folder  string
	address string
	environ []string
}

func TestClientsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(clientsPage)
	require.NoError(t, err)
	p := newPage(t)
	sections := strings.Split(string(text), "\n## ")
	ran := 0
	for _, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		blocks := pageFence.FindAllStringSubmatch(section, -1)
		ran += strings.Count(section, "\n```sh client\n")
		if strings.Contains(section, "```sh client") {
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				p.do(t, blocks)
			})
			continue
		}
		p.do(t, blocks)
	}
	require.GreaterOrEqual(t, ran, 6, "the page's clients are run")
}

// newPage has everything that the page's programs need.
func newPage(t *testing.T) *page {
	t.Helper()
	for _, program := range []string{"bash", "openssl", "node", "npm", "mvn", "javac", "keytool"} {
		_, err := exec.LookPath(program)
		lacks(t, err, "the page's clients need "+program)
	}
	lacks(t, clientPackages(), "the page's clients need npm's packages")
	python, err := newestPython()
	lacks(t, err, "the page's clients need Python and its packages")
	kubelogin, err := kubeloginProgram()
	lacks(t, err, "the page's clients need kubelogin")
	classes, err := javaClasses()
	lacks(t, err, "the page's clients need Java's libraries")
	port, err := freePort()
	require.NoError(t, err)
	p := &page{folder: t.TempDir(), address: "127.0.0.1:" + port}
	programs := t.TempDir()
	build := exec.Command("go", "build", "-o", programs, ".")
	build.Dir = filepath.Join("..", "cmd", "certtoken")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	modules, err := filepath.Abs(filepath.Join("clients", "node_modules"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(modules, filepath.Join(p.folder, "node_modules")))
	path := []string{programs, filepath.Dir(python), filepath.Dir(kubelogin), os.Getenv("PATH")}
	p.environ = append(cleanEnviron(), "PATH="+strings.Join(path, string(os.PathListSeparator)),
		"CLASSPATH="+classes, "HOME="+p.folder, "PYTHONDONTWRITEBYTECODE=1")
	return p
}

func (p *page) do(t *testing.T, blocks [][]string) {
	t.Helper()
	for _, block := range blocks {
		info, body := block[1], strings.ReplaceAll(block[2], clientsAddress, p.address)
		language, _, _ := strings.Cut(info, " ")
		switch {
		case slices.Contains([]string{"js", "python", "java"}, language) && info != language+" file":
			assert.Fail(t, "nothing runs this block", "%s\n%s", info, body)
		case strings.HasSuffix(info, " file"):
			name := strings.TrimLeft(strings.SplitN(body, "\n", 2)[0], "/# ")
			require.NoError(t, os.WriteFile(filepath.Join(p.folder, name), []byte(body), 0o600))
		case info == "sh run", info == "sh client prepares":
			p.run(t, body)
		case info == "sh serve":
			p.serve(t, body)
		case info == "sh client":
			p.check(t, body, p.run(t, body))
		}
	}
}

func (p *page) command(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.folder, p.environ, clientStop
	return cmd
}

func (p *page) run(t *testing.T, script string) (output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientAnswer)
	defer cancel()
	cmd := p.command(ctx, script)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s%s", script, out, trouble.String())
	return string(out)
}

// serve starts the endpoint and waits until it says that it is there.
func (p *page) serve(t *testing.T, script string) {
	t.Helper()
	cmd := p.command(context.Background(), "exec "+script)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, out)
		assert.NoError(t, cmd.Wait())
	})
	said := make([]byte, 0, 1024)
	for !bytes.Contains(said, []byte("Interrupt it")) {
		part := make([]byte, 256)
		n, err := out.Read(part)
		require.NoError(t, err, "the endpoint has ended: %s", said)
		said = append(said, part[:n]...)
	}
}

// check wants the output to be a token of the endpoint, or to hold one as kubectl reads it.
func (p *page) check(t *testing.T, script, output string) {
	t.Helper()
	var credential struct {
		Status struct{ Token string }
	}
	token := strings.TrimSpace(output)
	if json.Unmarshal([]byte(output), &credential) == nil {
		token = credential.Status.Token
	}
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3, "%s\nprinted no token: %s", script, output)
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct{ Aud, Appid, Azp string }
	require.NoError(t, json.Unmarshal(data, &claims))
	assert.Equal(t, clientResource, claims.Aud)
	assert.Equal(t, "my-app", claims.Appid+claims.Azp)
}
