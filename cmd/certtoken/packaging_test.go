package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/internal/azureenv"
	"go.yaml.in/yaml/v3"
)

// The configuration files that are delivered are right.
func TestPackagedConfigurations(t *testing.T) {
	file, err := os.ReadFile("packaging/systemd/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("packaging/kubernetes/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	configs := map[string]string{"systemd": string(file)}
	decoder := yaml.NewDecoder(bytes.NewReader(manifest))
	for {
		var object struct {
			Kind string
			Data map[string]string
		}
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if object.Kind == "ConfigMap" {
			configs["kubernetes"] = object.Data["agent.yaml"]
		}
	}
	for name, text := range configs {
		parsed, err := agentfile.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if parsed.Listen[0].Text != defaultAgentListen {
			t.Errorf("%s: it listens on %s", name, parsed.Listen[0].Text)
		}
	}
	if len(configs) != 2 {
		t.Errorf("%d configurations", len(configs))
	}
	socket, err := os.ReadFile("packaging/systemd/certtoken-agent.socket")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := agentfile.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{parsed.Listen[0].Text, parsed.Socket.Text} {
		if !strings.Contains(string(socket), "ListenStream="+address+"\n") {
			t.Errorf("the socket unit has no %s, so the agent would open another", address)
		}
	}
}

// systemd understands the units, and finds little that they leave open.
func TestUnits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd is Linux's")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("systemd-analyze is not installed, and CI=true")
		}
		t.Skip("systemd-analyze is not installed")
	}
	units, err := filepath.Glob("packaging/systemd/certtoken-*.*")
	if err != nil || len(units) != 4 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	dir := t.TempDir()
	verify := []string{"verify", "--man=no"}
	for _, path := range units {
		unit, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The program isn't installed here; any other will do. A template is for a user.
		text := strings.ReplaceAll(string(unit), "/usr/local/bin/certtoken", "/bin/true")
		name := filepath.Join(dir, strings.Replace(filepath.Base(path), "@.", "@daemon.", 1))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		verify = append(verify, name)
	}
	out, err := exec.Command(analyze, verify...).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("certtoken-")) {
		t.Errorf("%v\n%s", err, out)
	}
	for _, service := range verify[2:] {
		if filepath.Ext(service) != ".service" {
			continue
		}
		security := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", service)
		if out, err := security.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// The example that goes with the rotation's units has flags that the command knows, and
// the variables that it reads.
func TestPackagedRotation(t *testing.T) {
	text, err := os.ReadFile("packaging/systemd/rotate.env")
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile("packaging/systemd/certtoken-rotate@.service")
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			variables[name] = value
		}
	}
	_, flags, ok := strings.Cut(string(unit), "ExecStart=/usr/local/bin/certtoken rotate ")
	if !ok {
		t.Fatal("the unit doesn't start certtoken rotate")
	}
	flags, _, _ = strings.Cut(flags, "\n")
	flags = strings.ReplaceAll(flags, "$ROTATE_FLAGS", variables["ROTATE_FLAGS"])
	file := filepath.Join(t.TempDir(), "app.pem")
	for name, value := range variables {
		if name == azureenv.CertificatePath {
			value = file
		}
		t.Setenv(name, value)
	}
	c := console.With(os.Stdin, io.Discard, io.Discard)
	root := newRoot(c)
	root.SetArgs(append([]string{"rotate"}, strings.Fields(flags)...))
	if err := root.ExecuteContext(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the certificate isn't there, and the error is: %v", err)
	}
	if _, ok := variables["ROTATE_FLAGS"]; !ok || len(variables) != 4 {
		t.Errorf("variables: %q", variables)
	}
}
