// Package console is what a command talks to: standard input, output and error,
// and the person at the terminal, if there is one. It knows nothing of
// certificates and tokens.
package console

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Console is a command's standard input, output and error.
type Console struct {
	In  *os.File
	Out io.Writer
	Err io.Writer

	hide                 func(string) string
	out                  *checkedWriter
	waits                io.Writer // the terminal that shows what is waited for; nil: none
	colourOut, colourErr bool
}

// With returns a console without colour.
func With(in *os.File, out, err io.Writer) *Console {
	checked := &checkedWriter{w: out}
	return &Console{In: in, Out: checked, Err: err, out: checked, hide: func(text string) string { return text }}
}

// HideWith lets a function remove secrets from whatever goes to standard error,
// and from what passes Hide.
func (c *Console) HideWith(hide func(string) string) {
	c.hide = hide
	c.Err = &hidingWriter{c.Err, hide}
}

// Hide removes secrets from a text for standard output. Where a command was
// asked for a secret, it isn't called.
func (c *Console) Hide(text string) string { return c.hide(text) }

// hidingWriter changes each text on its way. No caller writes a text in pieces.
type hidingWriter struct {
	w    io.Writer
	hide func(string) string
}

func (w *hidingWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.w, w.hide(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
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

// WriteError returns the first error of writing to standard output.
func (c *Console) WriteError() error { return c.out.failed }

// Printf writes to standard output.
func (c *Console) Printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// PrintJSON writes a value to standard output as indented JSON. Of what could move the cursor or
// turn the reading direction, encoding/json escapes the characters below the blank only.
func (c *Console) PrintJSON(v any) error {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		c.Printf("%s\n", Printable(strings.TrimSuffix(line, "\n")))
	}
	return c.WriteError()
}

// Interactive reports whether a person can be asked something.
func (c *Console) Interactive() bool { return term.IsTerminal(int(c.In.Fd())) }

// OutputIsTerminal reports whether standard output goes to a screen.
func (c *Console) OutputIsTerminal() bool {
	f, ok := c.out.w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
