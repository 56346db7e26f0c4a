package certtoken_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// Every Go block of the documents stands, line for line, in a program or
// example that is compiled.
func TestDocumentedCodeCompiles(t *testing.T) {
	compiled := compiledText(t)
	documents := 0
	walk(t, ".md", func(path, text string) {
		for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
			documents++
			assert.Contains(t, compiled, flatten(block[1]), "%s: this block is in no program:\n%s", path, block[1])
		}
	})
	assert.Greater(t, documents, 4, "the documents have Go blocks")
}

// compiledText is all Go code, each line without its indentation.
func compiledText(t *testing.T) string {
	var all strings.Builder
	walk(t, ".go", func(_, text string) { all.WriteString(flatten(text)) })
	return all.String()
}

func flatten(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// walk visits the files with the ending below this folder.
func walk(t *testing.T, ending string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ending {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), string(data))
		return nil
	})
	require.NoError(t, err)
}

// Links between the documents, and from them to code, lead somewhere.
func TestDocumentedFilesExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	walk(t, ".md", func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(path), m[1]))
			assert.NoError(t, err, "%s links to %s", path, m[1])
		}
	})
}
