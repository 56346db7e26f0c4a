package main

import (
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// shellQuote quotes a text for a POSIX shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// shellWord quotes a text for a POSIX shell if the shell would not take it as it
// is.
func shellWord(text string) string {
	if plainWord().MatchString(text) {
		return text
	}
	return shellQuote(text)
}

var plainWord = lazyregexp.New(`^[A-Za-z0-9_./:@%+=,-]+$`)
