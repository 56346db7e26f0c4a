//go:build unix

package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What stands in a value, such as the name of the folder that somebody runs the command in, must
// not become a command.
func TestHostileValuesInShells(t *testing.T) {
	hostile := []string{
		`'; touch x; '`, `"; touch x; "`, "$(touch x)", "`touch x`", `\'; touch x #`, "a\nb", `%PATH%`, `!x!`, "-n", "~",
	}
	for _, value := range hostile {
		text := shells["sh"]([]variable{{"V", value}}) + `printf %s "$V"`
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", text)
		cmd.Dir = t.TempDir()
		out, err := cmd.Output()
		require.NoError(t, err)
		assert.Equal(t, value, string(out))
		assert.NoFileExists(t, cmd.Dir+"/x")
	}
	// PowerShell's own rule: a quotation mark that comes twice is one (about_Quoting_Rules), and each of
	// these is one (CharTraits.cs, IsSingleQuote).
	for _, quote := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
		assert.Equal(t, "$env:V = 'a"+quote+quote+"; calc'", powershellLine(variable{"V", "a" + quote + "; calc"}))
	}
	assert.Contains(t, shells["cmd"]([]variable{{"V", `%PATH%"&calc`}}), `set "V=%%PATH%%""&calc"`+"\n")
}
