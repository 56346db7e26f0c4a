package console

import (
	"os"
	"runtime"

	"golang.org/x/term"
)

// New returns the console of this process.
func New() *Console {
	c := With(os.Stdin, os.Stdout, os.Stderr)
	c.colourOut = wantsColour(os.Stdout)
	c.colourErr = wantsColour(os.Stderr)
	if term.IsTerminal(int(os.Stderr.Fd())) {
		c.waits = os.Stderr
	}
	return c
}

// wantsColour follows https://no-color.org.
func wantsColour(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
		return false // the old console prints escape sequences as text
	}
	return term.IsTerminal(int(f.Fd()))
}
