package release

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The script compares with the newest tag, and the changelog or its argument
// says what the next version may do.
func TestAPIDiff(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash", "tar")
	root := copyOf(t)
	for _, dir := range extensions(t, root) { // one will do: each is compiled in every round
		if dir != "ext/certstore" {
			require.NoError(t, os.RemoveAll(filepath.Join(root, dir)))
		}
	}
	commit(t, root)
	added := filepath.Join(root, "added.go")
	write := func(path, code string) { require.NoError(t, os.WriteFile(path, []byte(code), 0o600)) }
	const two = "package certtoken\n\n// One is there.\nfunc One() {}\n\n// Two is there.\nfunc Two() {}\n"
	const three = two + "\n// Three is there.\nfunc Three() {}\n"
	const one = "package certtoken\n\n// One is there.\nfunc One() {}\n"

	stdout, _, err := try(t, root, nil, ".ci/apidiff")
	require.NoError(t, err)
	assert.Contains(t, stdout, "no version is tagged yet")

	write(added, two)
	heading(t, root, "v0.5.1")
	output(t, root, nil, "git", "tag", "v0.5.1")
	output(t, root, nil, "git", "tag", "ext/certstore/v0.7.0") // another module's

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
		{name: "the changelog says it may", code: one, want: "as v0.6.0 may be",
			before: func() { heading(t, root, "v0.6.0") }},
		{name: "at v1 a minor may not", code: one, args: []string{"v1.1.0"}, want: "v1.1.0 must be", fails: true,
			before: func() {
				output(t, root, nil, "git", "checkout", "--quiet", "v0.5.1", "--", ".")
				write(added, two)
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
			write(added, c.code)
			stdout, stderr, err := try(t, root, nil, append([]string{".ci/apidiff"}, c.args...)...)
			assert.Equal(t, c.fails, err != nil, "%s%s", stdout, stderr)
			assert.Contains(t, stdout+stderr, c.want)
		})
	}
}
