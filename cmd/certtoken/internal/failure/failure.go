// Package failure has the command's own errors: what went wrong, what the user
// can do about it. It knows neither the library nor the terminal.
package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrInterrupted is returned by a command that a signal has ended.
var ErrInterrupted = errors.New("interrupted")

// Error is an error with advice for the user.
type Error struct {
	err    error
	advice []string
	usage  bool
}

// Errorf makes an error of this program's own. The format is that of
// fmt.Errorf.
func Errorf(format string, args ...any) *Error {
	return &Error{err: fmt.Errorf(format, args...)}
}

// Usagef makes an error for a command line that is wrong.
func Usagef(format string, args ...any) *Error {
	return &Error{err: fmt.Errorf(format, args...), usage: true}
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns what the error wraps.
func (e *Error) Unwrap() error { return e.err }

// Advise adds lines of advice and returns the error.
func (e *Error) Advise(lines ...string) *Error {
	e.advice = append(e.advice, lines...)
	return e
}

// Advice returns the first advice along an error's chain, a line each.
func Advice(err error) []string {
	var e *Error
	for errors.As(err, &e) {
		if len(e.advice) > 0 {
			return e.advice
		}
		err = e.err
	}
	return nil
}

// IsUsage reports whether an error is wrong usage.
func IsUsage(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.usage
}

// IsAny reports whether an error is one of these.
func IsAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// File shortens an error of package os to the file's name and the reason.
func File(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("%s: %w", pathErr.Path, pathErr.Err)
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return fmt.Errorf("%s: %w", linkErr.New, linkErr.Err)
	}
	return err
}

// Clean takes the names of our packages out of an error's text: the program's
// own name stands before every error anyway.
func Clean(err error) error {
	if err == nil {
		return nil
	}
	return &cleaned{err}
}

type cleaned struct{ err error }

func (e *cleaned) Unwrap() error { return e.err }

func (e *cleaned) Error() string { return packageNames.Replace(e.err.Error()) }

var packageNames = strings.NewReplacer("certtoken: ", "", "selfsigned: ", "", "certtokentest: ", "", "tpm: ", "")
