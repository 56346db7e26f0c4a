package certtoken

import (
	"fmt"

	"github.com/certtoken/certtoken/internal/redact"
)

// Errors of the user's parts: sources, signers, transports, stores.

// isOurs reports whether an error is of this package, and not of one of the user's
// parts.
func isOurs(err error) bool {
	switch err.(type) {
	case *publicError, *TokenError:
		return true
	}
	return false
}

// foreign is the error of one of the user's parts, whose text is scrubbed. One of
// ours, of a part that this package made, stays as it is.
func foreign(err error) error {
	if isOurs(err) {
		return err
	}
	return redact.Error(err)
}

// partError is the error of a source as a part of this package's, or nil.
func partError(err error) error {
	if err == nil {
		return nil
	}
	return inner(foreign(err))
}

// ofSource is the error of one of the user's sources, which it names.
func ofSource(what string, err error) error {
	if isOurs(err) {
		return err
	}
	return fmt.Errorf("%s: %w", what, redact.Error(err))
}
