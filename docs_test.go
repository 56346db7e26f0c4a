package certtoken_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// walk visits the files with the ending below this folder. Tests of other packages run at the
// same time and may make files here and remove them: one that is gone when it is to be read is none.
func walk(t *testing.T, ending string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != "." {
			return nil
		}
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
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), string(data))
		return nil
	})
	require.NoError(t, err)
}

// The documented table of formats is that of the corpus.
func TestFormatsInDocs(t *testing.T) {
	data, err := os.ReadFile("internal/certfile/testdata/corpus.json")
	require.NoError(t, err)
	var cases []struct {
		Tool, Kind, Error string
		Synthesised       bool
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	read, tools, refused := map[string]int{}, map[string]map[string]int{}, 0
	for _, c := range cases {
		if c.Error != "" {
			refused++
			continue
		}
		if tools[c.Kind] == nil {
			tools[c.Kind] = map[string]int{}
		}
		read[c.Kind]++
		if name := strings.Fields(c.Tool)[0]; !c.Synthesised {
			tools[c.Kind][name]++
		}
	}
	table := "| | files read right | written by |\n|---|---|---|\n"
	for _, kind := range []string{"PFX", "PEM", "DER"} {
		names := slices.SortedFunc(maps.Keys(tools[kind]), func(a, b string) int {
			return cmp.Or(tools[kind][b]-tools[kind][a], strings.Compare(a, b))
		})
		made := 0
		for _, n := range tools[kind] {
			made += n
		}
		by := strings.Join(names, ", ")
		if rest := read[kind] - made; rest > 0 {
			by += fmt.Sprintf("; %d synthesised in the structure of tools that don't run here", rest)
		}
		table += fmt.Sprintf("| %s | %d | %s |\n", kind, read[kind], by)
	}
	table += fmt.Sprintf("| refused, each with the error that fits | %d | |\n", refused)

	const page = "docs/certificates.md"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)(<!-- formats: [^\n]*\n)(.*?)(<!-- /formats -->)`)
	found := section.FindStringSubmatch(string(text))
	require.NotNil(t, found, "the page has a place for the table")
	if *update {
		require.NoError(t, os.WriteFile(page,
			[]byte(strings.Replace(string(text), found[0], found[1]+"\n"+table+"\n"+found[3], 1)), 0o644))
		return
	}
	assert.Equal(t, "\n"+table+"\n", found[2], "go test -run TestFormatsInDocs -update .")
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
