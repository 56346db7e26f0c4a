package certtokentest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every fault, option and call in the tables of docs/testing.md stands in a test of
// this package, and every option, form and shape of the package stands in the
// document or its first part.
func TestDocumentedBehaviour(t *testing.T) {
	page, err := os.ReadFile("../docs/testing.md")
	require.NoError(t, err)
	_, tables, ok := strings.Cut(string(page), "## What real servers do")
	require.True(t, ok)
	tests := plain(sources(t, "*_test.go"))
	code := regexp.MustCompile("`([^`]*[({][^`]*)`")
	checked := 0
	for line := range strings.Lines(tables) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 { // three cells
			continue
		}
		for _, found := range code.FindAllStringSubmatch(cells[3], -1) {
			checked++
			assert.True(t, strings.Contains(tests, plain(found[1])), "no test has %s", found[1])
		}
	}
	assert.Greater(t, checked, 30)
	for _, name := range exported(t, "RefusalForm", "Shape") {
		assert.Regexp(t, `\b`+name+`\b`, string(page)+sources(t, "fault.go"), "docs/testing.md lacks it")
	}
	for _, name := range exported(t, "RefusalForm") {
		assert.Contains(t, tables, "| `"+name+"` |")
	}
}

// plain is code on one line without the package's name, and without the tests' short
// one for a map.
func plain(code string) string {
	code = strings.Join(strings.Fields(code), " ")
	return strings.NewReplacer("certtokentest.", "", "map[string]any", "fields").Replace(code)
}

func sources(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

// exported are the package's constants of the types.
func exported(t *testing.T, types ...string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				names = append(names, constants(d, types)...)
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

// constants are those of a block whose first one has one of the types.
func constants(d *ast.GenDecl, types []string) (names []string) {
	first, ok := d.Specs[0].(*ast.ValueSpec)
	if !ok {
		return nil
	}
	kind, ok := first.Type.(*ast.Ident)
	for _, spec := range d.Specs {
		for _, typ := range types {
			if ok && kind.Name == typ {
				names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
			}
		}
	}
	return names
}
