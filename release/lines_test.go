package release

import (
	"errors"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxColumns is how long a line of Go may be, with a tab as four columns.
const maxColumns = 120

// Lines of tests can be read without scrolling. A text that can't be broken, as it stands
// between backquotes, may be longer.
func TestLinesOfTestsAreShort(t *testing.T) {
	t.Parallel()
	files := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // another test's or program's, which has removed it meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files++
		for _, line := range longLines(source) {
			t.Errorf("%s:%d has more than %d columns", path, line, maxColumns)
		}
		return nil
	}))
	assert.Greater(t, files, 200)
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", maxColumns)
	for source, want := range map[string][]int{
		"package a\n\n// " + long[3:] + "\n":       nil,
		"package a\n\n// " + long + "\n":           {3},
		"package a\n\n\t" + long[4:] + "\n":        nil,
		"package a\n\n\t" + long[3:] + "\n":        {3},
		"package a\n\nvar ä = " + long[8:] + "\n":  nil,
		"package a\n\nvar a = `" + long + "`\n":    nil,
		"package a\n\nvar a = `b\n" + long + "`\n": nil,
		"package a\n\nvar a = \"" + long + "\"\n":  {3},
		"package a\n\nvar a = `b`\n// " + long:     {4},
	} {
		assert.Equal(t, want, longLines([]byte(source)), source)
	}
}

// longLines are the numbers of the lines that are too long, without those that hold text
// between backquotes.
func longLines(source []byte) (long []int) {
	lines := strings.Split(string(source), "\n")
	for i, line := range lines {
		if utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")) > maxColumns {
			long = append(long, i+1)
		}
	}
	if long == nil {
		return nil
	}
	raw := rawLines(source)
	var kept []int
	for _, line := range long {
		if !raw[line] {
			kept = append(kept, line)
		}
	}
	return kept
}

// rawLines are the lines on which a string between backquotes begins, goes on or ends.
func rawLines(source []byte) map[int]bool {
	raw := map[int]bool{}
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, func(token.Position, string) {}, 0)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return raw
		}
		if tok == token.STRING && text[0] == '`' {
			first := file.Line(pos)
			for line := range strings.Count(text, "\n") + 1 {
				raw[first+line] = true
			}
		}
	}
}
