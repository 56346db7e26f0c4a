package interop

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A grammar of PowerShell for tree-sitter, from PyPI.
var powerShellGrammar = []string{"tree-sitter==0.26.1", "tree-sitter-powershell==0.26.4"}

// The program reads a script from standard input, and ends with the status 1 and the
// place of the first mistake if the grammar doesn't take it.
const powerShellParser = `
import sys, tree_sitter, tree_sitter_powershell
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
def mistake(node):
    if node.is_error or node.is_missing:
        return node
    return next((m for m in map(mistake, node.children) if m), None)
found = mistake(parser.parse(sys.stdin.buffer.read()).root_node)
if found:
    sys.exit(f"line {found.start_point[0] + 1}, column {found.start_point[1] + 1}")
`

var powerShellPython = sync.OnceValues(func() (string, error) { return pythonWith(powerShellGrammar...) })

// parsePowerShell returns what the grammar minds.
func parsePowerShell(python, script string) (string, error) {
	cmd := exec.Command(python, "-c", powerShellParser)
	cmd.Stdin = strings.NewReader(script)
	var mistake bytes.Buffer
	cmd.Stderr = &mistake
	err := cmd.Run()
	return strings.TrimSpace(mistake.String()), err
}

// The grammar takes every block of PowerShell of the documents.
func TestPowerShellOfDocuments(t *testing.T) {
	t.Parallel()
	python, err := powerShellPython()
	lacks(t, err, "the grammar of PowerShell needs Python and its packages")

	for _, wrong := range []string{"if ($x { 'y' }", "certtoken \\\n  --scope a", "$x = @{ a = 'b'"} {
		_, err := parsePowerShell(python, wrong)
		require.Error(t, err, "the grammar takes what isn't PowerShell: %s", wrong)
	}

	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	fence := regexp.MustCompile("(?ms)^```powershell[^\\n]*\\n(.*?)^```$")
	blocks := 0
	for _, page := range append(pages, "../README.md", "../cmd/certtoken/README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			blocks++
			mistake, err := parsePowerShell(python, m[1])
			require.NoError(t, err, "%s: %s:\n%s", page, mistake, m[1])
		}
	}
	require.Greater(t, blocks, 8)
}
