package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/term"
)

// console is what a command talks to.
type console struct {
	in  *os.File
	out *checkedWriter
	err io.Writer

	colourOut, colourErr bool
}

func newConsole() *console {
	return &console{
		in:        os.Stdin,
		out:       &checkedWriter{w: os.Stdout},
		err:       os.Stderr,
		colourOut: wantsColour(os.Stdout),
		colourErr: wantsColour(os.Stderr),
	}
}

// checkedWriter remembers the first failure, so that a full disk or a closed
// pipe fails the command without a check at every line.
type checkedWriter struct {
	w      io.Writer
	failed error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	n, err := w.w.Write(p)
	w.failed = err
	return n, err
}

// printf writes to standard output.
func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// printJSON writes a value, indented, to standard output.
func (c *console) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// interactive tells whether a person can be asked something.
func (c *console) interactive() bool { return term.IsTerminal(int(c.in.Fd())) }

// outputIsTerminal tells whether a person sees standard output as it is.
func (c *console) outputIsTerminal() bool {
	f, ok := c.out.w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantsColour follows https://no-color.org.
func wantsColour(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
		return false // the old console prints escape sequences as they are
	}
	return term.IsTerminal(int(f.Fd()))
}

// style is an SGR sequence (ECMA-48 §8.3.117).
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// paint styles text where colour is on.
func paint(on bool, s style, text string) string {
	if !on || s == plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// printable makes a line that anybody may have written fit for a terminal: what
// isn't graphic, and could end the line, move the cursor or turn the reading
// direction, becomes a JSON escape, so that JSON stays valid.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// wrap breaks text into lines of up to width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
