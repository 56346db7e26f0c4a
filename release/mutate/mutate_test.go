package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFileMutants(t *testing.T) {
	for _, c := range []struct {
		name, code string
		want       []string
	}{
		{"a guard", `func f(err error) error { if err != nil { return err }; return nil }`,
			[]string{"f: err != nil => false && (err != nil)"}},
		{"a guard of a loop", `func f(n []int) { for _, i := range n { if i == 1 { continue } } }`,
			[]string{"f: i == 1 => false && (i == 1)", "f: i == 1 => i != 1"}},
		{"a guard that panics", `func f(ok bool) { if !ok { panic("no") } }`, []string{"f: !ok => false && (!ok)"}},
		{"no guard", `func f(ok bool) { if ok { println() } }`, nil},
		{"operands", `func f(a, b, c bool) bool { return a && b && (c || a) }`,
			[]string{"f: (c || a) => (true || ((c || a)))", "f: a => (true || (a))", "f: b => (true || (b))",
				"f: c => (false && (c))", "f: a => (false && (a))"}},
		{"comparisons", `func f(a, b int) (x, y, z, w bool) { return a < b, a <= b, a > b, a >= b }`,
			[]string{"f: a < b => a <= b", "f: a <= b => a < b", "f: a > b => a >= b", "f: a >= b => a > b"}},
		{"cases", `func f(a int) int { switch { case a > 1: return 1; case a > 2: a++ }; return a }`,
			[]string{"f: a > 1 => false && (a > 1)", "f: a > 1 => a >= 1", "f: a > 2 => a >= 2"}},
		{"a tagged switch", `func f(a int) int { switch a { case 1: return 1 }; return a }`, nil},
		{"bounds of calls", `func (s *T[int]) f(r io.Reader, n int) { io.LimitReader(r, 9); min(n, 1) }`,
			[]string{"T[int].f: io.LimitReader(r, 9) => r", "T[int].f: min(n, 1) => n", "T[int].f: min(n, 1) => 1"}},
		{"constants", "const (\n\tmaxBody = 1 << 20\n\tname = 1\n)", []string{"maxBody: 1 << 20 => 1000 * (1 << 20)"}},
		{"a function in a variable", `var f = func(n int) error { if n > 1 { return e }; return nil }`,
			[]string{"var: n > 1 => false && (n > 1)", "var: n > 1 => n >= 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := []byte("package p\n\n" + c.code)
			found, err := fileMutants("p.go", src)
			require.NoError(t, err)
			var got []string
			for _, m := range found {
				got = append(got, m.change())
				changed := m.apply(src)
				_, err := parser.ParseFile(token.NewFileSet(), "p.go", changed, 0)
				assert.NoError(t, err, "%s", changed)
				assert.False(t, bytes.Equal(src, changed))
			}
			assert.ElementsMatch(t, c.want, got)
		})
	}
	_, err := fileMutants("p.go", []byte("package"))
	assert.Error(t, err)
}

// patience is how long the tests of a change may take here. None of the changes in
// testdata/guarded makes them hang, and a survivor that only a busy machine keeps from its end
// would be taken for a killed one.
const patience = 10 * time.Minute

// The guards that the tests of testdata/guarded don't check survive, and no others.
func TestMutate(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command a dozen times: not with -short")
	}
	const dir, file = "testdata/guarded", "testdata/guarded/guarded.go"
	s := settings{dir: dir, tests: []string{dir}, workers: 2, timeout: patience}
	mutants, err := packageMutants(t.Context(), s)
	require.NoError(t, err)
	results, err := judge(t.Context(), s, mutants)
	require.NoError(t, err)

	for _, c := range []struct {
		name, list string
		good       bool
		want       string
	}{
		{"nothing accepted", "", false,
			file + ":21:14 Unchecked: !ready => (false && (!ready))\n" +
				file + ":21:5 Unchecked: n < 0 => n <= 0\n" +
				file + ":30:7 Untested: n == 1 => false && (n == 1)\n" +
				file + ":30:7 Untested: n == 1 => n != 1\n" +
				"11 changes: 7 killed, 4 survived, 0 not covered by a test, 0 don't compile; 0 survivors accepted, " +
				"4 to look at\n"},
		{"all accepted", "# a comment\n\n" +
			file + " Unchecked: !ready => (false && (!ready)) -- it is -- always\n" +
			file + " Unchecked: n < 0 => n <= 0 -- 0 can't be\n" +
			file + " Untested: n == 1 => false && (n == 1) -- an example\n" +
			file + " Untested: n == 1 => n != 1 -- an example\n" +
			"testdata/another.go F: a => b -- of a file that isn't changed here\n",
			true,
			"11 changes: 7 killed, 4 survived, 0 not covered by a test, 0 don't compile; 4 survivors accepted, 0 to " +
				"look at\n"},
		{"a killed one accepted", file + " Unchecked: !ready => (false && (!ready)) -- x\n" +
			file + " Unchecked: n < 0 => n <= 0 -- x\n" + file + " Untested: n == 1 => false && (n == 1) -- x\n" +
			file + " Untested: n == 1 => n != 1 -- x\n" + file + " Checked: a => b -- x\n",
			false,
			"accepted, but killed or gone: " + file + " Checked: a => b\n" +
				"11 changes: 7 killed, 4 survived, 0 not covered by a test, 0 don't compile; 4 survivors accepted, " +
				"0 to look at\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := filepath.Join(t.TempDir(), "accepted.txt")
			require.NoError(t, os.WriteFile(list, []byte(c.list), 0o600))
			known, err := readAccepted(list)
			require.NoError(t, err)
			var out strings.Builder
			assert.Equal(t, c.good, report(&out, known, mutants, results))
			assert.Equal(t, c.want, out.String())
		})
	}
}

// A change that doesn't compile says nothing of the tests, and one of what no test
// runs needs no run.
func TestVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command: not with -short")
	}
	s := settings{
		dir: "testdata/guarded", tests: []string{"testdata/guarded"}, workers: 1, run: "TestChecked", timeout: patience,
	}
	mutants, err := packageMutants(t.Context(), s)
	require.NoError(t, err)
	doesNotCompile := mutants[0]
	doesNotCompile.to = "true"
	at := slices.IndexFunc(mutants, func(m mutant) bool { return m.function == "Unchecked" })
	results, err := judge(t.Context(), s, []mutant{doesNotCompile, mutants[at]})
	require.NoError(t, err)
	assert.Equal(t, []verdict{broken, uncovered}, results)
}

func TestMistakes(t *testing.T) {
	list := filepath.Join(t.TempDir(), "accepted.txt")
	require.NoError(t, os.WriteFile(list, []byte("no reason"), 0o600))
	for name, s := range map[string]settings{
		"no package":       {dir: "testdata"},
		"no such file":     {dir: "testdata/guarded", files: "none.go"},
		"a bad pattern":    {dir: "testdata/guarded", files: "["},
		"no such test":     {dir: "testdata/guarded", tests: []string{"testdata/none"}, workers: 1},
		"a line in a list": {dir: "testdata/guarded", accepted: list},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mutate(t.Context(), s)
			assert.Error(t, err)
		})
	}
}
