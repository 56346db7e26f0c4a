package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents' blocks for Windows say what they are by their info string too:
//
//	powershell       held against the rules below
//	powershell run   nothing but commands of certtoken, which are run as they stand
//	powershell serve one command that runs until the next one or the page's end
//	powershell live  needs the live service, says so in its first line
//	bat              lines of cmd, held against its rules
//
// No PowerShell can be had where these tests run. So a block is taken apart here, by the
// language's rules for words, quotes and brackets; what other shells write is refused;
// and the command's own parser reads each call of certtoken. The tests in interop give
// the blocks to a whole grammar of PowerShell.

// A shellCommand is one command with its words, without their quotes.
type shellCommand struct {
	words []string
	to    string // the file behind >
}

// windowsBlocks are the blocks of a page in one of the languages.
func windowsBlocks(t *testing.T, page, language string) (blocks []docBlock) {
	for _, block := range docBlocks(t, page) {
		if name, _, _ := strings.Cut(block.info, " "); name == language {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

func windowsPages(t *testing.T) []string {
	return append(docPages(t), "README.md", filepath.Join("..", "..", "README.md"))
}

func TestDocumentedPowerShell(t *testing.T) {
	calls := 0
	for _, page := range windowsPages(t) {
		for _, block := range windowsBlocks(t, page, "powershell") {
			assert.Contains(t, []string{"powershell", "powershell run", "powershell serve", "powershell live"},
				block.info, page)
			if block.info == "powershell live" {
				assert.True(t, strings.HasPrefix(block.body, liveNote), "%s: %s", page, block.body)
			}
			commands, err := powerShellCommands(block.body)
			if !assert.NoError(t, err, "%s:\n%s", page, block.body) {
				continue
			}
			calls += checkCalls(t, page, commands)
		}
	}
	assert.Greater(t, calls, 10, "the pages show calls in PowerShell")
}

func TestDocumentedCmd(t *testing.T) {
	calls := 0
	for _, page := range windowsPages(t) {
		for _, block := range windowsBlocks(t, page, "bat") {
			commands, err := cmdCommands(block.body)
			if assert.NoError(t, err, "%s:\n%s", page, block.body) {
				calls += checkCalls(t, page, commands)
			}
		}
	}
	assert.Positive(t, calls, "the pages show calls in cmd")
}

// checkCalls has the command's parser read each call of certtoken, and returns their number.
func checkCalls(t *testing.T, page string, commands []shellCommand) (calls int) {
	t.Helper()
	for _, command := range commands {
		if command.words[0] == "certtoken" {
			calls++
			assert.NoError(t, parseCall(t, command.words[1:]), "%s: %q", page, command.words)
		}
	}
	return calls
}

func parseCall(t *testing.T, args []string) error {
	cmd, rest, err := newRoot(testConsole(t)).Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if !cmd.Runnable() {
		return fmt.Errorf("%s is no whole command", cmd.CommandPath())
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// What people who know another shell write, and PowerShell 5.1 reads otherwise or not at all.
var notPowerShell = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{`a line that \ should continue: it is a backtick here`, regexp.MustCompile(`(?m)\\$`)},
	{"&& and ||, which PowerShell 5.1 doesn't have", regexp.MustCompile(`&&|\|\|`)},
	{"< for a file, which PowerShell doesn't have: Get-Content FILE |", regexp.MustCompile(`<`)},
	{"@ in front of a word, which splats a variable: quote it", regexp.MustCompile(`(?m)(^|[\s(])@\w`)},
	{"VAR=value: write $VAR = 'value' or $env:VAR = 'value'", regexp.MustCompile(`(?m)^\s*\w+=`)},
	{"export", regexp.MustCompile(`(?m)^\s*(export|unset|umask|source|sudo|chmod)\s`)},
	{"a blank behind a backtick that should continue the line", regexp.MustCompile("(?m)`[ \\t]+$")},
}

var powerShellString = regexp.MustCompile("'(?:[^']|'')*'|\"(?:[^\"`]|`(?s:.)|\"\")*\"|#[^\n]*")

// powerShellCommands are the commands of a block, also of those in brackets, or what is
// wrong with it.
func powerShellCommands(block string) ([]shellCommand, error) {
	bare := powerShellString.ReplaceAllString(block, "''")
	for _, not := range notPowerShell {
		if not.pattern.MatchString(bare) {
			return nil, fmt.Errorf("it has %s", not.name)
		}
	}
	var s powerShellScanner
	return s.commands(block)
}

// powerShellScanner takes a script apart.
type powerShellScanner struct {
	list    []shellCommand
	command shellCommand
	open    []byte // brackets
	target  bool   // the next word is the file behind >
}

func (s *powerShellScanner) commands(script string) ([]shellCommand, error) {
	closing := map[byte]byte{'(': ')', '{': '}', '[': ']'}
	for i := 0; i < len(script); {
		switch c := script[i]; {
		case strings.HasPrefix(script[i:], "`\n"):
			i += 2
		case c == ' ' || c == '\t':
			i++
		case c == '#':
			i += len(script[i:]) - len(strings.TrimLeft(script[i:], "#"))
			for i < len(script) && script[i] != '\n' {
				i++
			}
		case c == '\n' || c == ';' || c == '|' || c == '=' || c == ',':
			s.end()
			i++
		case c == '>':
			s.target = true
			i++
		case closing[c] != 0:
			s.open = append(s.open, closing[c])
			s.end()
			i++
		case c == ')' || c == '}' || c == ']':
			if len(s.open) == 0 || s.open[len(s.open)-1] != c {
				return nil, fmt.Errorf("%q has no opening bracket", c)
			}
			s.open = s.open[:len(s.open)-1]
			s.end()
			i++
		default:
			word, n, err := powerShellWord(script[i:])
			if err != nil {
				return nil, err
			}
			s.word(word)
			i += n
		}
	}
	s.end()
	if len(s.open) > 0 {
		return nil, fmt.Errorf("%q is missing", s.open[len(s.open)-1])
	}
	return s.list, nil
}

func (s *powerShellScanner) word(word string) {
	if s.target {
		s.command.to, s.target = word, false
		return
	}
	s.command.words = append(s.command.words, word)
}

func (s *powerShellScanner) end() {
	if len(s.command.words) > 0 {
		s.list = append(s.list, s.command)
	}
	s.command, s.target = shellCommand{}, false
}

// powerShellWord is the word that a text begins with, without quotes, and its length.
func powerShellWord(text string) (string, int, error) {
	var word strings.Builder
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			quoted := powerShellString.FindStringIndex(text[i:])
			if quoted == nil || quoted[0] != 0 {
				return "", 0, fmt.Errorf("a quote %q isn't closed", c)
			}
			word.WriteString(text[i+1 : i+quoted[1]-1])
			i += quoted[1]
		case strings.ContainsRune(" \t\n;|(){}[]=,>", rune(c)) && i > 0:
			// = and , within a word that has begun as a flag's value belong to it.
			if (c == '=' || c == ',') && !strings.HasPrefix(text, "$") {
				word.WriteByte(c)
				i++
				continue
			}
			return word.String(), i, nil
		default:
			word.WriteByte(c)
			i++
		}
	}
	return word.String(), len(text), nil
}

// cmdCommands are the commands of lines for cmd, or what is wrong with them.
func cmdCommands(block string) ([]shellCommand, error) {
	var list []shellCommand
	for line := range strings.Lines(strings.ReplaceAll(block, "^\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "rem ") {
			continue
		}
		for _, not := range []string{"'", "$", "`", "#"} {
			if strings.Contains(line, not) {
				return nil, fmt.Errorf("%q means nothing in cmd: %s", not, line)
			}
		}
		if strings.HasSuffix(line, `\`) || strings.Count(line, `"`)%2 != 0 || strings.Count(line, "%")%2 != 0 {
			return nil, fmt.Errorf("a line that isn't whole: %s", line)
		}
		call, to, _ := strings.Cut(line, ">")
		for part := range strings.SplitSeq(call, "|") {
			words := strings.Fields(strings.ReplaceAll(part, `"`, ""))
			if len(words) == 0 {
				return nil, fmt.Errorf("a command is missing: %s", line)
			}
			list = append(list, shellCommand{words: words, to: strings.TrimSpace(to)})
		}
	}
	return list, nil
}

// runPowerShell runs the calls of a block as PowerShell would: without another shell.
func (p *docPage) runPowerShell(t *testing.T, block string) {
	t.Helper()
	commands, err := powerShellCommands(strings.ReplaceAll(block, docsAddress, p.address))
	require.NoError(t, err)
	for _, command := range commands {
		require.Equal(t, "certtoken", command.words[0],
			"a block that is run has certtoken's commands only: %q", command.words)
		require.False(t, slices.ContainsFunc(command.words, func(w string) bool { return strings.Contains(w, "$") }),
			"a block that is run has no variables: %q", command.words)
		call := p.command(`out=$1; shift; if [ -n "$out" ]; then "$@" > "$out"; else "$@"; fi`)
		call.Args = append(call.Args, append([]string{"bash", command.to}, command.words...)...)
		out, err := call.CombinedOutput()
		p.output = string(out)
		require.NoError(t, err, "%q: %s", command.words, out)
	}
}

// The rules notice what is wrong, and take apart what is right.
func TestPowerShellRules(t *testing.T) {
	for _, wrong := range []string{
		"certtoken token \\\n  --scope a", "a && b", "certtoken decode < token", "az x --cert @public.pem", "A=b\nc",
		"export A", "certtoken token ` \n --scope a", "if ($x { y }", "a 'b", `a "b`, "a)", "a [b", "a {b",
	} {
		_, err := powerShellCommands(wrong)
		assert.Error(t, err, wrong)
	}
	commands, err := powerShellCommands("# it's a comment\n$t = certtoken token --scope 'a b' `\n" +
		"  --kid \"x'y\" > out # more\n" +
		"iwr -Headers @{ A = \"Bearer $(certtoken token)\" }; foo '@x' | certtoken decode\n" +
		"(certtoken cert show a.cer)\n")
	require.NoError(t, err)
	assert.Contains(t, commands,
		shellCommand{words: []string{"certtoken", "token", "--scope", "a b", "--kid", "x'y"}, to: "out"})
	assert.Contains(t, commands, shellCommand{words: []string{"certtoken", "decode"}})
	assert.Contains(t, commands, shellCommand{words: []string{"certtoken", "cert", "show", "a.cer"}})

	for _, wrong := range []string{"a 'b'", "a $b", "a \\\nb", `a "b`, "a %B", "a | | b"} {
		_, err := cmdCommands(wrong)
		assert.Error(t, err, wrong)
	}
	commands, err = cmdCommands("rem it's one\nset A=%B%\ncerttoken token ^\n  --scope \"a\" >out\n")
	require.NoError(t, err)
	assert.Equal(t, []shellCommand{{words: []string{"set", "A=%B%"}},
		{words: []string{"certtoken", "token", "--scope", "a"}, to: "out"}}, commands)

	assert.Error(t, parseCall(t, []string{"token", "--no-such-flag"}))
	assert.Error(t, parseCall(t, []string{"cert", "shw", "x"}))
	assert.NoError(t, parseCall(t, []string{"cert", "show", "x", "--json"}))
}
