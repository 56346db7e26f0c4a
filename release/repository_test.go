package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/release/internal/checkout"
)

const module = "github.com/certtoken/certtoken"

// need skips a test of programs that aren't there, and one that takes minutes
// when little time is wanted.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute: not with -short")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is needed in CI", program)
			}
			t.Skipf("%s isn't installed", program)
		}
	}
}

// copyOf makes a repository of the files as they are now.
func copyOf(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("../.git"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("not in a clone")
	}
	root := filepath.Join(t.TempDir(), "repository")
	require.NoError(t, checkout.Copy("..", root))
	return root
}

func commit(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, checkout.Commit(root))
}

// edit replaces text in a file that has it.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o644))
}

// heading puts a version on top of the changelog, and into the code.
func heading(t *testing.T, root, version string) {
	t.Helper()
	edit(
		t,
		filepath.Join(root, "CHANGELOG.md"),
		"\n## ",
		"\n## ["+strings.TrimPrefix(version, "v")+"] - 2026-01-02\n\n## ",
	)
	client := filepath.Join(root, "client.go")
	code, err := os.ReadFile(client)
	require.NoError(t, err)
	edit(t, client, versionInCode.FindString(string(code)), `const version = "`+strings.TrimPrefix(version, "v")+`"`)
	commit(t, root)
}

var versionInCode = regexp.MustCompile(`const version = "[^"]*"`)

// output runs a command that must not fail.
func output(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	out, stderr, err := try(t, dir, env, command...)
	require.NoError(t, err, "%s\n%s%s", strings.Join(command, " "), out, stderr)
	return out
}

func try(t *testing.T, dir string, env []string, command ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// emptyCache is the environment of a machine that has no module yet. What the
// cache of this one holds is downloaded from there, before proxies are asked.
func emptyCache(t *testing.T, proxies ...string) []string {
	t.Helper()
	proxies = append(proxies,
		"file://"+goEnv(t, "GOMODCACHE")+"/cache/download",
		goEnv(t, "GOPROXY"))
	env := []string{
		"GOMODCACHE=" + t.TempDir(),
		"GOPROXY=" + strings.Join(proxies, ","),
		"GOWORK=off",
	}
	// Modules are written read-only, so that only the go command removes them.
	t.Cleanup(func() {
		cmd := exec.Command("go", "clean", "-modcache")
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	})
	return env
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(output(t, ".", nil, "go", "env", name))
}

func sum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}
