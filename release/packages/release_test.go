package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is packed: a checkout with and without changes, a tag, a source archive.
func TestReleaseOf(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git isn't installed")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	t.Setenv("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	root := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, "client.go"), []byte(text), 0o600))
	}
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{
			"-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false",
			"-c", "gc.auto=0", "-c", "maintenance.auto=false",
		}, args...)...)
		cmd.Dir = root
		output(t, cmd)
	}
	of := func(tag string) (string, error) {
		r, err := releaseOf(root, tag)
		return r.version, err
	}

	_, err := of("")
	assert.ErrorContains(t, err, "not the repository's root")
	write("package x\n")
	_, err = of("")
	assert.ErrorContains(t, err, "has no version")

	write("package x\n\nconst version = \"1.2.3\"\n")
	_, err = of("")
	assert.ErrorContains(t, err, "SOURCE_DATE_EPOCH")
	t.Setenv("SOURCE_DATE_EPOCH", "x")
	_, err = of("")
	assert.ErrorContains(t, err, "SOURCE_DATE_EPOCH")
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	version, err := of("")
	require.NoError(t, err)
	assert.Equal(t, "1.2.3-dev.19700101000000", version)
	t.Setenv("SOURCE_DATE_EPOCH", "")

	git("init", "--quiet")
	git("add", "client.go")
	git("commit", "--quiet", "--message", "one")
	version, err = of("")
	require.NoError(t, err)
	assert.Regexp(t, `^1\.2\.3-dev\.20260102030405\.g[0-9a-f]{8}$`, version)

	for _, tag := range []string{"1.2.3", "v1.2", "v1.2.3 ", "--help"} {
		_, err = of(tag)
		assert.ErrorContains(t, err, "must look like", tag)
	}
	_, err = of("v1.2.3")
	assert.ErrorContains(t, err, "the checkout is not v1.2.3", "there is no such tag")
	git("tag", "--no-sign", "v1.2.3")
	version, err = of("v1.2.3")
	require.NoError(t, err)
	assert.Equal(t, "1.2.3", version)

	write("package x\n\nconst version = \"1.2.4\"\n")
	version, err = of("")
	require.NoError(t, err)
	assert.Regexp(t, `^1\.2\.4-dev\.20260102030405\.g[0-9a-f]{8}\.changed$`, version)
	_, err = of("v1.2.3")
	assert.ErrorContains(t, err, "aren't committed")
	git("commit", "--quiet", "--all", "--message", "two")
	_, err = of("v1.2.3")
	assert.ErrorContains(t, err, "the checkout is not v1.2.3", "it is a later commit")
}
