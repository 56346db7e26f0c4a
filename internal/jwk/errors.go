package jwk

import (
	"errors"
	"fmt"
	"strings"
)

// What is wrong with a JWK, by [errors.Is]. The texts of errors don't repeat these. A key
// that [jws.CheckKey] refuses has the errors of that.
var (
	ErrFormat      = errors.New("not a JWK")
	ErrNoPrivate   = errors.New("no private key")
	ErrMismatch    = errors.New("the private and the public half do not belong together")
	ErrUnsupported = errors.New("unsupported type of JWK")
	ErrTooLarge    = errors.New("too large")
)

// keyError is one of these errors with a text of its own.
type keyError struct {
	kind error
	text string
}

func (e *keyError) Error() string { return e.text }
func (e *keyError) Unwrap() error { return e.kind }

func formatError(format string, args ...any) error {
	return &keyError{ErrFormat, fmt.Sprintf(format, args...)}
}

// cut shortens a value that isn't secret, for an error.
func cut(text string) string {
	const limit = 32
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
