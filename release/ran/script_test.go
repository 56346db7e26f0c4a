package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeGo stands for the go command: it lists two packages, and what it builds is
// a program that fails for the calls that FAILING names.
const fakeGo = `#!/usr/bin/env bash
case "$1" in
list)
	echo example.org/module
	[ "$2" = -m ] || echo example.org/module/other
	;;
build)
	printf '#!/usr/bin/env bash\ncase "$*" in %s) exit 1 ;; esac\n' "$FAILING" >"$3"
	chmod +x "$3"
	;;
esac
`

// The exit status of test.sh is what CI goes by: it is 0 if all passed, and not
// otherwise, whichever part failed.
func TestScriptsExitStatus(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash isn't installed")
	}
	script, err := os.ReadFile(filepath.Join("..", "..", "test.sh"))
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		failing string // a pattern of the calls that fail
		args    []string
		passes  bool
	}{
		"all passed":                 {failing: "none", passes: true},
		"all passed, with arguments": {failing: "none", args: []string{"-short"}, passes: true},
		"a slow package":             {failing: `*test*example.org/module/release\ *`},
		"a long package":             {failing: `*test*-race*example.org/module/interop*`},
		"a slow package in short":    {failing: `*test*-race\ -short*`},
		"the reader of files":        {failing: `*test*-race\ -short\ -run*example.org/module/internal/certfile`},
		"a claim":                    {failing: `*claims*`},
		"everything":                 {failing: `*`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "test.sh"), script, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte(fakeGo), 0o755))
			cmd := exec.Command("bash", append([]string{filepath.Join(dir, "test.sh")}, tt.args...)...)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "FAILING="+tt.failing)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if tt.passes {
				require.NoError(t, err, "%s", out)
				require.Contains(t, string(out), "all modules passed")
				return
			}
			require.True(t, errors.As(err, &exit), "%v: %s", err, out)
			require.Equal(t, 1, exit.ExitCode(), "%s", out)
			require.Contains(t, string(out), "some tests failed")
		})
	}
}
