// Package lazyregexp has regular expressions of a package that are compiled when they
// are used first. Compiled at the start of a program, all of ours together would take a
// tenth of the time from its start to its first token, and most of them are for errors.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// inTest reports whether this is the program of a test, where a wrong expression is to
// be found whether or not a test uses it.
var inTest = len(os.Args) > 0 && strings.HasSuffix(strings.TrimSuffix(os.Args[0], ".exe"), ".test")

// New returns a function that returns the regular expression, and panics if its text is
// wrong. The function can be called from many goroutines.
func New(text string) func() *regexp.Regexp {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
	if inTest {
		compiled()
	}
	return compiled
}
