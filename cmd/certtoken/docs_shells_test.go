package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A section's sh blocks are of use in PowerShell and cmd too. A block that differs there in
// the ends of its lines alone needs nothing: its page links to windows.md, which says how
// lines go on. For any other block the section has one in PowerShell, or a sentence that
// says where it runs.
func TestShellBlocksAreOfUseOnWindows(t *testing.T) {
	t.Parallel()
	const guide = "(windows.md"
	sections := 0
	for _, page := range docPages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		if filepath.Base(page) == "windows.md" {
			continue
		}
		if strings.Contains(string(text), "```sh") {
			linked := strings.Contains(string(text), guide)
			assert.True(t, linked, "%s has blocks for sh, and no link to windows.md", page)
		}
		for _, section := range docSections(string(text)) {
			sections++
			if !saysHowOnWindows(section) {
				for _, block := range posixBlocks(section) {
					t.Errorf("%s: this is for sh alone, and its section says nothing of Windows:\n%s", page, block)
				}
			}
		}
	}
	assert.Greater(t, sections, 100)
}

func TestPosixBlocks(t *testing.T) {
	for _, portable := range []string{
		"certtoken cert new --subject my-app --no-password\n",
		"# a comment\ncerttoken token --tenant \"$TENANT\" \\\n  --scope a > token\ncerttoken decode token\n",
		"certtoken agent status | certtoken decode\n",
	} {
		assert.Empty(t, posixBlocks("```sh run\n"+portable+"```\n"), portable)
	}
	for _, posix := range []string{
		"certtoken decode < token\n", "export A=b\n", "A=b certtoken token\n", "rm token\n", "certtoken agent &\n",
		"certtoken agent 2>log\n", "cat > a <<'END'\nb\nEND\n", "kill $(cat agent.pid)\n", "az x --cert @public.pem\n",
		"certtoken token | grep a\n", "openssl rand -hex 32 > secret\n", "for a in b; do certtoken version; done\n",
		"certtoken token --cert <(x)\n",
	} {
		assert.Len(t, posixBlocks("```sh live\n"+posix+"```\n"), 1, posix)
	}
	assert.True(t, saysHowOnWindows("a\n```powershell\nb\n```\n"))
	assert.True(t, saysHowOnWindows("These units are for Linux only.\n"))
	assert.False(t, saysHowOnWindows("```sh\n# not for Linux only\n```\n"), "only the text counts")
}

// docSections are the parts of a page between its headings.
func docSections(text string) []string {
	var sections []string
	var section strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		fenced = fenced != strings.HasPrefix(line, "```")
		if !fenced && strings.HasPrefix(line, "#") {
			sections = append(sections, section.String())
			section.Reset()
		}
		section.WriteString(line)
	}
	return append(sections, section.String())
}

// These programs are called in the same way in every shell. What they print can't be sent to
// a file everywhere: PowerShell's > may write UTF-16, which certtoken alone reads.
var everyShell = []string{"certtoken", "az", "go", "git", "java", "keytool", "lego", "node", "openssl", "python",
	"step"}

// posixBlocks are the sh blocks of a section that mean something else, or nothing, in
// PowerShell and cmd, also when their lines go on as they do there.
func posixBlocks(section string) (blocks []string) {
	for _, m := range docFence.FindAllStringSubmatch(section, -1) {
		if language, _, _ := strings.Cut(m[1], " "); language == "sh" && !suitsEveryShell(m[2]) {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

var posixOnly = regexp.MustCompile(`&|2>|\$\(|'[^'\n]*"`) // Windows PowerShell drops quotes within quotes

func suitsEveryShell(block string) bool {
	commands, err := powerShellCommands(strings.ReplaceAll(block, "\\\n", "`\n"))
	return err == nil && !posixOnly.MatchString(block) && !slices.ContainsFunc(commands, func(c shellCommand) bool {
		return !slices.Contains(everyShell, c.words[0]) || c.to != "" && c.words[0] != "certtoken"
	})
}

var windowsSentence = regexp.MustCompile(`PowerShell|on Windows|Linux only`)

// saysHowOnWindows reports whether a section has a block for PowerShell or cmd, or a
// sentence about Windows.
func saysHowOnWindows(section string) bool {
	return regexp.MustCompile("(?m)^```(powershell|bat)").MatchString(section) ||
		windowsSentence.MatchString(docFence.ReplaceAllString(section, ""))
}
