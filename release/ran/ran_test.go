package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// times are what differs between two runs.
var times = regexp.MustCompile(`\(?[0-9.]+s\)?|\(cached\)`)

func TestTest(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command: not with -short")
	}
	for name, c := range map[string]struct {
		sample string
		args   []string
		want   []string // in this order
		not    []string
		record string
		fails  bool
	}{
		"passes": {
			sample: "passes",
			want:   []string{"ok  \tgithub.com/certtoken/certtoken/release/ran/testdata/sample"},
			not:    []string{"PASS", "===", "nobody reads this", "no program"},
			record: "pass SAMPLE TestPasses\nskip SAMPLE TestSkipped\npass SAMPLE TestFails\npass SAMPLE TestPanics\n",
		},
		"fails": {
			want: []string{
				"this is wrong", "--- FAIL: TestFails/bad", "--- FAIL: TestFails", "FAIL\n", "FAIL\tgithub.com/",
			},
			not:    []string{"===", "nobody reads this", "nor this", "no program"},
			record: "pass SAMPLE TestPasses\nskip SAMPLE TestSkipped\nfail SAMPLE TestFails\npass SAMPLE TestPanics\n",
			fails:  true,
		},
		"panics": {
			sample: "panics", args: []string{"-run", "Passes|Panics"},
			want:   []string{"before the end", "panic: the end", "FAIL\tgithub.com/"},
			not:    []string{"nobody reads this"},
			record: "pass SAMPLE TestPasses\nfail SAMPLE TestPanics\n",
			fails:  true,
		},
		"verbose": {
			sample: "passes", args: []string{"-v", "-run=Passes"},
			want: []string{
				"=== RUN   TestPasses\n", "nobody reads this", "--- PASS: TestPasses", "--- PASS: TestPasses/sub",
				"PASS\n", "ok  \tgithub.com/",
			},
			record: "pass SAMPLE TestPasses\n",
		},
		"doesn't compile": {
			args: []string{"-overlay", overlay(t)},
			want: []string{"undefined: nothing", "FAIL\tgithub.com/", "[build failed]"}, fails: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SAMPLE", c.sample)
			record := filepath.Join(t.TempDir(), "record")
			var out strings.Builder
			err := test(&out, record, append(c.args, "./testdata/sample"))
			var failed *exec.ExitError
			assert.Equal(t, c.fails, errors.As(err, &failed), "%v", err)
			text := times.ReplaceAllString(out.String(), "")
			rest := text
			for _, part := range c.want {
				_, after, found := strings.Cut(rest, part)
				require.True(t, found, "%q is not in\n%s", part, text)
				rest = after
			}
			for _, part := range c.not {
				assert.NotContains(t, text, part)
			}
			notes, err := os.ReadFile(record)
			require.NoError(t, err)
			want := strings.ReplaceAll(c.record, "SAMPLE", module+"/release/ran/testdata/sample")
			assert.Equal(t, want, string(notes))
		})
	}
}

// overlay puts a file that doesn't compile in the place of the sample.
func overlay(t *testing.T) string {
	dir := t.TempDir()
	broken, file := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(broken, []byte("package sample\n\nvar _ = nothing\n"), 0o600))
	sample, err := filepath.Abs("testdata/sample/sample_test.go")
	require.NoError(t, err)
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{sample: broken}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

func TestClaims(t *testing.T) {
	const root, other = module + " ", module + "/internal/x "
	const document = "| a | b | `TestA`, `FuzzB` (internal/x),\n`TestC`\n(internal/x) |\n"
	all := "pass " + root + "TestA\npass " + other + "FuzzB\n"
	for name, c := range map[string]struct {
		document, record string
		args             []string
		ci               bool
		want             string // of the output, or of the error
		fails            bool
	}{
		"all passed": {
			document: document, record: all + "pass " + other + "TestC\n",
			want: "3 of the 3 tests that DOCUMENT names passed\n",
		},
		"one passed in another run": {
			document: document, record: "skip " + other + "TestC\n" + all + "pass " + other + "TestC\n", ci: true,
			want: "3 of the 3 tests that DOCUMENT names passed\n",
		},
		"one skipped": {
			document: document, record: all + "skip " + other + "TestC\n",
			want: "2 of the 3 tests that DOCUMENT names passed\n\tskipped: " + other + "TestC\n",
		},
		"one skipped in CI": {
			document: document, record: all + "skip " + other + "TestC\n", ci: true, fails: true,
			want: "DOCUMENT names tests that didn't pass:\n\t" + other + "TestC",
		},
		"one that failed": {
			document: document, record: all + "fail " + other + "TestC\n", fails: true,
			want: "DOCUMENT names tests that didn't pass:\n\t" + other + "TestC",
		},
		"one of another folder": {
			document: document, record: all + "pass " + root + "TestC\n", fails: true,
			want: "DOCUMENT names tests that didn't pass:\n\t" + other + "TestC",
		},
		"none": {document: "nothing\n", fails: true, want: "DOCUMENT names no test"},
		"tests left out": {
			document: document, args: []string{"-short"},
			want: "not checked: whether the tests that DOCUMENT names ran (-short, -run, -skip, -list)\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", map[bool]string{true: "true"}[c.ci])
			dir := t.TempDir()
			file, record := filepath.Join(dir, "DOCUMENT"), filepath.Join(dir, "record")
			require.NoError(t, os.WriteFile(file, []byte(c.document), 0o600))
			require.NoError(t, os.WriteFile(record, []byte(c.record), 0o600))
			var out strings.Builder
			err := claims(&out, record, file, c.args)
			got := out.String()
			if c.fails {
				require.Error(t, err)
				got = err.Error()
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.want, strings.ReplaceAll(got, file, "DOCUMENT"))
		})
	}
}

func TestLeavesOut(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, "-race -count=1": false, "-timeout 1h": false, "-short=false": false, "-runtime": false,
		"short":  false,
		"-short": true, "--short": true, "-test.short": true, "-short=true": true,
		"-race -run TestX": true, "-run=TestX": true, "-skip TestX": true, "-list .": true,
	} {
		assert.Equal(t, want, leavesOut(strings.Fields(args)), args)
	}
}
