package redact

import (
	"errors"
	"fmt"
	"io"
)

// Error returns an error with the text of err made fit by [Scrubber.Text].
// [errors.Is] and [errors.As] see through it. [errors.Unwrap] doesn't, so that
// who prints each error of a chain prints no secret. The methods of err may panic: the
// text then says so, and errors.Is and errors.As report false.
func (s *Scrubber) Error(err error) error {
	if err == nil {
		return nil
	}
	return &scrubbed{text: s.Text(textOf(err), MaxText), cause: func() error { return err }}
}

// textOf is the text of a user's error, also of a nil pointer in an error's place.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of type %T, whose method Error panicked", err)
		}
	}()
	return err.Error()
}

// Error is [Scrubber.Error] where no secret is known.
func Error(err error) error { return (*Scrubber)(nil).Error(err) }

// scrubbed is an error whose text is another one's, made fit.
type scrubbed struct {
	text string

	// cause is a function so that nothing that walks through memory by
	// reflection finds the text behind it.
	cause func() error
}

func (e *scrubbed) Error() string { return e.text }

// Is lets errors.Is see the cause.
func (e *scrubbed) Is(target error) bool {
	return withoutPanic(func() bool { return errors.Is(e.cause(), target) })
}

// As lets errors.As see the cause.
func (e *scrubbed) As(target any) bool {
	return withoutPanic(func() bool { return errors.As(e.cause(), target) })
}

// withoutPanic returns what f returns, or false if it panics. The cause is a user's
// error, and its methods Is, As and Unwrap may panic where no code recovers, such as
// in the goroutine of a renewal.
func withoutPanic(f func() bool) (is bool) {
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	return f()
}

// Format prints the text, whatever the verb.
func (e *scrubbed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.text) }
