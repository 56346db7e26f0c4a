package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

func testConsole(t *testing.T) *console.Console {
	t.Helper()
	return console.With(os.Stdin, t.Output(), t.Output())
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

// The commands in the README and in the examples exist, with all their flags.
func TestExamplesParse(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	check := func(where, text string) {
		for _, words := range certtokenCommands(text) {
			found++
			cmd, args, err := newRoot(testConsole(t)).Find(words)
			if err == nil {
				err = cmd.ParseFlags(args)
			}
			if err != nil {
				t.Errorf("%s: certtoken %s: %v", where, strings.Join(words, " "), err)
			}
		}
	}
	for i, block := range strings.Split(string(readme), "```") {
		if i%2 == 1 {
			check("README.md", block)
		}
	}
	visit(newRoot(testConsole(t)), func(cmd *cobra.Command) { check(cmd.CommandPath(), cmd.Example) })
	if found < 40 {
		t.Errorf("only %d commands found", found)
	}
}

// certtokenCommands are the arguments of each certtoken in shell text.
func certtokenCommands(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	var commands [][]string
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("\n|()<>", r) }) {
		words := strings.Fields(part)
		for i, word := range words {
			if word == "certtoken" {
				commands = append(commands, words[i+1:])
				break
			}
		}
	}
	return commands
}
