package lazyregexp

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnExpressionIsCompiledWhenItIsUsedFirst(t *testing.T) {
	defer func(before bool) { inTest = before }(inTest)
	inTest = false
	wrong := New("(")
	assert.Panics(t, func() { wrong() }, "only now")
	right := New("^a+$")
	assert.True(t, right().MatchString("aaa"))
	assert.Same(t, right(), right(), "once")
}

func TestAWrongExpressionIsFoundByTests(t *testing.T) {
	assert.Panics(t, func() { New("(") })
}

// Nothing that a program of a user's imports, and nothing of the command, compiles an
// expression when it starts.
func TestNothingIsCompiledAtTheStart(t *testing.T) {
	checked := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // another program's, which has taken it away
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(othersPrograms, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		checked++
		if filepath.Base(path) != "lazyregexp.go" && strings.Contains(string(source), "regexp.MustCompile(") {
			t.Errorf("%s compiles a regular expression itself", path)
		}
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, checked, 50)
}

// othersPrograms are folders with programs of our own and for readers, integrations that
// need nothing of ours inside, data, and what Git changes while tests run.
var othersPrograms = []string{".git", "bench", "examples", "example", "ext", "interop", "release", "testdata"}
