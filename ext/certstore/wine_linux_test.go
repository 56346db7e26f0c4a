package certstore

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWine runs this package's tests for Windows under wine: against its certificate store,
// its CryptoAPI and its CNG, as far as it has them. Which tests were run is checked too, so
// that none is left out without being seen.
func TestWine(t *testing.T) {
	if testing.Short() {
		t.Skip("wine takes a while to start")
	}
	needs(t, "wine", "wineboot", "wineserver")
	w := newWine(t)
	w.addRandom(t)
	program := filepath.Join(t.TempDir(), "certstore.test.exe")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	text, err := w.run(t, "wine", program, "-test.v", "-test.timeout=30m")
	require.NoError(t, err, "%s", text)
	passed, skipped := results(text, "PASS"), results(text, "SKIP")
	for _, test := range []string{
		"TestStoreNoCertificate", "TestStoreNoKey", "TestStoreOldestCSP", "TestStoreOtherKey",
		"TestStoreCSP/signature/Signs", "TestStoreCSP/exchange/Signs", "TestStoreCSP/machine/Signs",
		"TestStoreSelection/subject", "TestStoreSelection/SHA-1", "TestStoreSelection/template",
		"TestStoreRights/key", "TestStoreRights/store",
		"TestCNG/RSA/Signs", "TestCNG/RSA/PS256", "TestCNG/RSA/ManyGoroutines",
	} {
		assert.Contains(t, passed, test)
	}
	known := []string{
		"TestOtherSystems", "TestWindows", // for other systems, and for Windows' PowerShell
		"TestStoreCSP/signature/PS256", "TestStoreCSP/exchange/PS256", "TestStoreCSP/machine/PS256",
		// CNG alone has PSS
		"TestCNG/P-256", "TestCNG/P-384", "TestCNG/P-521", // wine's NCryptImportKey takes RSA
		"TestCurves/P-256/PS256", "TestCurves/P-384/PS256", "TestCurves/P-521/PS256", // EC keys have no PSS
	}
	for _, test := range skipped {
		assert.True(t, slices.Contains(known, test), "skipped: %s", test)
	}
	t.Logf("%d tests passed, %d were skipped", len(passed), len(skipped))
}

// wine is a prefix, which is a machine of wine's, without a screen.
type wine struct {
	prefix, home string
}

func newWine(t *testing.T) *wine {
	t.Helper()
	w := &wine{prefix: filepath.Join(t.TempDir(), "prefix"), home: t.TempDir()}
	t.Cleanup(func() { // before the folder is removed; the test's context has ended
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		for _, flag := range []string{"-k", "-w"} { // end all that runs in the prefix, and wait for it
			_ = w.command(ctx, "wineserver", flag).Run()
		}
	})
	text, err := w.run(t, "wineboot", "--init")
	require.NoError(t, err, "%s", text)
	return w
}

func (w *wine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "WINEPREFIX=" + w.prefix, "WINEARCH=win64", "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=", // nothing is downloaded, and the desktop stays as it is
	}
	return cmd
}

// run returns what a program printed. It prints to a file: wine's services live longer than
// it, and would keep a pipe open.
func (w *wine) run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 35*time.Minute) // beyond that of the program's tests
	defer cancel()
	file, err := os.CreateTemp(t.TempDir(), "output")
	require.NoError(t, err)
	defer file.Close()
	cmd := w.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	failed := cmd.Run()
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return string(text), failed
}

// addRandom gives the prefix bcryptprimitives.dll if this wine lacks it: Go's programs don't
// start without.
func (w *wine) addRandom(t *testing.T) {
	t.Helper()
	library := filepath.Join(w.prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(library); err == nil {
		return
	}
	const compiler = "x86_64-w64-mingw32-gcc"
	needs(t, compiler)
	out, err := exec.CommandContext(t.Context(), compiler, "-shared", "-nostdlib", "-Wl,-e,0", "-O2", "-o", library,
		filepath.Join("testdata", "wine", "bcryptprimitives.c"), "-ladvapi32").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// results are the tests that ended so, as go test -v prints them.
func results(text, verdict string) []string {
	pattern := regexp.MustCompile(`(?m)^ *--- ` + verdict + `: (\S+) \(`)
	var names []string
	for _, match := range pattern.FindAllStringSubmatch(strings.ReplaceAll(text, "\r", ""), -1) {
		names = append(names, match[1])
	}
	return names
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI must run this test: %v", err)
			}
			t.Skipf("%s isn't installed", program)
		}
	}
}
