package release

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bare leaves of a repository what the script looks at: one package of the module, one
// beside it and an extension, each with hardly any code, because every round compiles and
// compares them all.
func bare(t *testing.T, root string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, entry := range entries {
		if !slices.Contains([]string{".git", ".ci", "CHANGELOG.md", "go.mod", "go.sum", "ext"}, entry.Name()) {
			require.NoError(t, os.RemoveAll(filepath.Join(root, entry.Name())))
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "ext/certstore/*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.NoError(t, os.Remove(file))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "selfsigned"), 0o755))
	for name, code := range map[string]string{
		"client.go":                  "package certtoken\n\nconst version = \"0.1.0\"\n",
		"selfsigned/selfsigned.go":   "package selfsigned\n\n// New is there.\nfunc New() {}\n",
		"ext/certstore/certstore.go": "package certstore\n\n// Find is there.\nfunc Find() {}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(code), 0o600))
	}
	commit(t, root)
}

// What is added to the package, and is changed then.
const (
	one   = "package certtoken\n\n// One is there.\nfunc One() {}\n"
	two   = one + "\n// Two is there.\nfunc Two() {}\n"
	three = two + "\n// Three is there.\nfunc Three() {}\n"
)

// tagged makes a version of the repository, and returns a function that changes what was
// added to it.
func tagged(t *testing.T, root string) (change func(code string)) {
	t.Helper()
	for _, dir := range extensions(t, root) { // one will do: each is compiled in every round
		if dir != "ext/certstore" {
			require.NoError(t, os.RemoveAll(filepath.Join(root, dir)))
		}
	}
	// The agent's module is replaced by a small one, for the same reason.
	require.NoError(t, os.RemoveAll(filepath.Join(root, "agent")))
	require.NoError(t, os.Mkdir(filepath.Join(root, "agent"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "agent", "go.mod"),
		[]byte("module github.com/certtoken/certtoken/agent\n\ngo 1.26.0\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "agent", "agent.go"),
		[]byte("// Package agent is small.\npackage agent\n\n// One is there.\nfunc One() {}\n"), 0o600))
	commit(t, root)
	stdout, _, err := try(t, root, nil, ".ci/apidiff")
	require.NoError(t, err)
	assert.Contains(t, stdout, "no version is tagged yet")

	change = func(code string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, "added.go"), []byte(code), 0o600))
	}
	change(two)
	heading(t, root, "v0.5.1")
	output(t, root, nil, "git", "tag", "v0.5.1")
	output(t, root, nil, "git", "tag", "ext/certstore/v0.7.0") // another module's
	return change
}

// The script reads all packages of this repository.
func TestAPIDiff(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash", "tar")
	root := copyOf(t)
	tagged(t, root)(one)
	stdout, _, err := try(t, root, nil, ".ci/apidiff")
	require.Error(t, err)
	// One run shows both that it sees a change and that it sees none where none is.
	assert.Equal(t, module+":\n- Two: removed", strings.TrimSpace(stdout))
}

// The script compares with the newest tag, and the changelog or its argument
// says what the next version may do.
func TestAPIDiffJudges(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash", "tar")
	root := copyOf(t)
	bare(t, root)
	change := tagged(t, root)
	for _, c := range []struct {
		name, code string
		before     func()
		args       []string
		want       string
		fails      bool
	}{
		{name: "nothing changed", code: two, want: "compatible with v0.5.1"},
		{name: "a function more", code: three, want: "compatible with v0.5.1"},
		{name: "a function less", code: one, want: "Two: removed", fails: true},
		{
			name: "another signature", code: two[:len(two)-len("() {}\n")] + "(int) {}\n", want: "Two: changed",
			fails: true,
		},
		{name: "a patch may not", code: one, args: []string{"v0.5.2"}, want: "v0.5.2 must be", fails: true},
		{name: "a minor may, at v0", code: one, args: []string{"v0.6.0"}, want: "as v0.6.0 may be"},
		{name: "a major may", code: one, args: []string{"v1.0.0"}, want: "as v1.0.0 may be"},
		{name: "a package less", code: two, want: "selfsigned: removed", fails: true,
			before: func() { require.NoError(t, os.RemoveAll(filepath.Join(root, "selfsigned"))) }},
		{name: "an extension less", code: two, want: "ext/certstore: module removed", fails: true,
			before: func() {
				output(t, root, nil, "git", "checkout", "--quiet", "--", "selfsigned")
				require.NoError(t, os.RemoveAll(filepath.Join(root, "ext/certstore")))
			}},
		{name: "a function less of the agent", code: two, want: "agent:", fails: true,
			before: func() {
				output(t, root, nil, "git", "checkout", "--quiet", "--", "ext/certstore")
				require.NoError(t, os.WriteFile(filepath.Join(root, "agent", "agent.go"), []byte("package agent\n"),
					0o600))
			}},
		{name: "the changelog says it may", code: one, want: "as v0.6.0 may be",
			before: func() { heading(t, root, "v0.6.0") }},
		{name: "at v1 a minor may not", code: one, args: []string{"v1.1.0"}, want: "v1.1.0 must be", fails: true,
			before: func() {
				output(t, root, nil, "git", "checkout", "--quiet", "v0.5.1", "--", ".")
				change(two)
				commit(t, root)
				output(t, root, nil, "git", "tag", "v1.0.0")
				output(t, root, nil, "git", "commit", "--quiet", "--allow-empty", "--message", "later")
				output(t, root, nil, "git", "tag", "v1.1.0-rc.1") // promises nothing
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			change(c.code)
			stdout, stderr, err := try(t, root, nil, append([]string{".ci/apidiff"}, c.args...)...)
			assert.Equal(t, c.fails, err != nil, "%s%s", stdout, stderr)
			assert.Contains(t, stdout+stderr, c.want)
		})
	}
}
