package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/release/internal/checkout"
)

// What the README says about installing from a clone works: a program takes the library
// and an extension by replace, and the command is installed.
func TestInstallFromAClone(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash")
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(readme), "\n## Install\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 3, "clone, replace, packages")
	require.Contains(t, blocks[1][1], "-replace")

	beside := t.TempDir()
	clone := filepath.Join(beside, "certtoken") // in the place of git clone, for which nothing is published
	require.NoError(t, checkout.Copy("..", clone))
	dir := filepath.Join(beside, "program")
	require.NoError(t, os.Rename(program(t, "ext/certtokengrpc"), dir))
	offline := []string{ // -trimpath: what is compiled there is kept for the next run
		"GOWORK=off", "GOPROXY=file://" + goEnv(t, "GOMODCACHE") + "/cache/download", "GONOSUMDB=*",
		"GOFLAGS=-mod=mod -trimpath",
	}
	named := regexp.MustCompile("`(" + module + "/ext/)certtokenotel(=../certtoken/ext/)certtokenotel`")
	extension := named.FindStringSubmatch(section)
	require.NotNil(t, extension)
	output(t, dir, offline, "go", "mod", "edit", "-replace", extension[1]+"certtokengrpc"+extension[2]+"certtokengrpc")
	output(t, dir, offline, "bash", "-euc", blocks[1][1])
	assert.Equal(t, "certtoken: the client is closed\n", output(t, dir, offline, "go", "run", "."))

	require.Contains(t, section, "`go install ./cmd/certtoken`")
	bin := t.TempDir()
	output(t, clone, []string{"GOBIN=" + bin, "GOFLAGS=-trimpath"}, "go", "install", "./cmd/certtoken")
	assert.Contains(t, output(t, bin, nil, "./certtoken", "version"), "certtoken ")
}
