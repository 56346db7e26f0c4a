package certtoken_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/certtoken/certtoken"

// Whoever knows one module below ext knows them all: where its documentation, its examples
// and its program are, how its options are written, what its sources can do and how all that
// is tested.
func TestExtensionsHaveOneShape(t *testing.T) {
	modules, err := filepath.Glob("ext/*/go.mod")
	require.NoError(t, err)
	require.Greater(t, len(modules), 6)
	for _, file := range modules {
		x := readExtension(t, filepath.Dir(file))
		t.Run(x.name, func(t *testing.T) {
			x.checkFiles(t)
			x.checkDocumentation(t)
			x.checkOptions(t)
			x.checkSources(t)
			x.checkTests(t)
		})
	}
}

// extension is a module below ext.
type extension struct {
	dir, name string
	code      []*ast.File // of the package
	text      string      // of these files
	tests     string      // of its test files
}

func readExtension(t *testing.T, dir string) *extension {
	t.Helper()
	x := &extension{dir: dir, name: filepath.Base(dir)}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.HasSuffix(name, "_test.go") {
			x.tests += string(data)
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ParseComments)
		require.NoError(t, err)
		x.code, x.text = append(x.code, parsed), x.text+string(data)
	}
	return x
}

func (x *extension) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(x.dir, name))
	require.NoError(t, err)
	return string(data)
}

// checkFiles: the package has the name of its folder, and its program is a module of its own,
// so that nobody else's dependency stands in the package's go.mod.
func (x *extension) checkFiles(t *testing.T) {
	for _, file := range x.code {
		assert.Equal(t, x.name, file.Name.Name)
	}
	work, err := os.ReadFile("go.work")
	require.NoError(t, err)
	root, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go .*$`).FindString(string(root))
	for _, module := range []string{"", "/example"} {
		text := x.read(t, filepath.FromSlash("./"+module+"/go.mod"))
		assert.Contains(t, text, "module "+modulePath+"/ext/"+x.name+module+"\n")
		assert.Contains(t, text, version+"\n")
		assert.Contains(t, string(work), "\t./ext/"+x.name+module+"\n")
	}
	for _, name := range []string{"example/main.go", "example/main_test.go"} {
		assert.FileExists(t, filepath.Join(x.dir, filepath.FromSlash(name)))
	}
}

func (x *extension) checkDocumentation(t *testing.T) {
	assert.Contains(t, x.read(t, "doc.go"), "// Package "+x.name+" ")
	readme := x.read(t, "README.md")
	assert.True(t, strings.HasPrefix(readme, "# "+x.name+"\n"), "the README is of "+x.name)
	assert.Contains(t, readme, "go get "+modulePath+"/ext/"+x.name+"\n")
	assert.Contains(t, readme, "[Install](../../README.md#install)", "go get finds nothing yet")
	assert.Contains(t, readme, "```go\n", "the README shows how it is used")
	examples := x.read(t, "example_test.go")
	assert.Contains(t, examples, "package "+x.name+"_test\n")
	assert.Contains(t, examples, "\nfunc Example", "go doc has examples")
}

// checkOptions: an option is a function of the package's config, nil is none, and one that
// takes something risky says so in its name.
func (x *extension) checkOptions(t *testing.T) {
	if !strings.Contains(x.text, "\ntype Option ") {
		return
	}
	assert.Contains(t, x.text, "\ntype Option func(*config)\n")
	assert.Regexp(t, `opt != nil`, x.text, "a nil option is passed over")
	for _, f := range x.functions() {
		if result := f.Type.Results; f.Recv == nil && result != nil && f.Name.IsExported() {
			if name, ok := result.List[0].Type.(*ast.Ident); ok && name.Name == "Option" {
				assert.Regexp(t, `^(With|Dangerously)`, f.Name.Name)
			}
		}
	}
}

// withoutReload are the sources that are told of a new certificate by whoever has it, so that
// there is nothing to ask for after a refusal.
var withoutReload = []string{"spiffe.X509Source"}

// checkSources: a source says that it is one, is tested as one, reads again what the token
// endpoint refused, and is printed by its name.
func (x *extension) checkSources(t *testing.T) {
	sources := regexp.MustCompile(`certtoken\.CertSource\s+= \(\*(\w+)\)\(nil\)`).FindAllStringSubmatch(x.text, -1)
	for _, source := range sources {
		assert.Contains(t, x.tests, "certtokentest.TestCertSource(", "%s is tested as a source", source[1])
		for _, method := range []string{"Certificate", "String", "Format", "LogValue"} {
			assert.True(t, x.hasMethod(source[1], method), "%s has no method %s", source[1], method)
		}
		reloader := regexp.MustCompile(`certtoken\.Reloader\s+= \(\*` + source[1] + `\)\(nil\)`).MatchString(x.text)
		assert.Equal(t, !slices.Contains(withoutReload, x.name+"."+source[1]), reloader,
			"%s must be a certtoken.Reloader, unless it is in withoutReload", source[1])
	}
	for _, f := range x.functions() {
		own := f.Recv != nil && (f.Name.Name == "Sign" || f.Name.Name == "SignContext")
		assert.False(t, own, "%s makes a signer without certsource.NewSigner, which checks signatures and "+
			"has one error for what a key can't do", x.name)
	}
	if len(sources) == 0 {
		assert.NotRegexp(t, `(?m)^func \(\w+ \*?\w+\) Certificate\(\w+ context\.Context\)`, x.text,
			"a source without var _ certtoken.CertSource")
	}
	if strings.Contains(x.text, "certtoken.Store ") {
		assert.Contains(t, x.tests, "certtokentest.TestStore(")
	}
}

func (x *extension) functions() (all []*ast.FuncDecl) {
	for _, file := range x.code {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				all = append(all, f)
			}
		}
	}
	return all
}

func (x *extension) hasMethod(typ, name string) bool {
	return slices.ContainsFunc(x.functions(), func(f *ast.FuncDecl) bool {
		if f.Recv == nil || f.Name.Name != name {
			return false
		}
		receiver := f.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		own, ok := receiver.(*ast.Ident)
		return ok && own.Name == typ
	})
}

// checkTests: no test leaves a goroutine behind.
func (x *extension) checkTests(t *testing.T) {
	assert.Contains(t, x.tests, "goleak.VerifyTestMain(")
}
