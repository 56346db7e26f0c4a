package certsource

import (
	"errors"
	"strings"

	"github.com/certtoken/certtoken/internal/panics"
)

// errEnded is the result of a function that ended its goroutine.
var errEnded = errors.New("the function ended its goroutine without an answer")

// guarded calls one of the user's functions. Its panic becomes an error without what it
// said, which could be a secret.
func guarded[T any](what string, f func() (T, error)) (value T, err error) {
	var none T
	defer func() {
		if p := recover(); p != nil {
			value, err = none, panics.Error(what, p)
		}
	}()
	return f()
}

// prefix begins the errors of package certtoken. They are a part of other errors here.
const prefix = "certtoken: "

// inner is an error as a part of another error's text: without the prefix.
func inner(err error) error { return &innerError{err} }

type innerError struct{ cause error }

func (e *innerError) Error() string { return strings.TrimPrefix(e.cause.Error(), prefix) }
func (e *innerError) Unwrap() error { return e.cause }
