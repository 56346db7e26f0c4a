package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func testConsole(t *testing.T) *console {
	t.Helper()
	return &console{in: os.Stdin, out: &checkedWriter{w: t.Output()}, err: t.Output()}
}

// Every command's help fits into 80 columns and shows an example.
func TestHelp(t *testing.T) {
	visit(newRoot(testConsole(t)), func(cmd *cobra.Command) {
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		var b bytes.Buffer
		writeHelp(&b, cmd)
		for _, line := range strings.Split(b.String(), "\n") {
			if utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s --help: over %d columns: %s", cmd.CommandPath(), helpWidth, line)
			}
		}
	})
}

// docs/cli.md is what "certtoken reference" prints.
func TestReferenceIsCurrent(t *testing.T) {
	var b bytes.Buffer
	writeReference(&b, newRoot(testConsole(t)))
	have, err := os.ReadFile("docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("docs/cli.md is not current: run go generate")
	}
}
