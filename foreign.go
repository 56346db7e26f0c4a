package certtoken

import (
	"fmt"

	"github.com/certtoken/certtoken/internal/redact"
)

// Errors of the user's parts: sources, signers, transports, stores.

// isOurs reports whether an error was made by this package, and not by one of the user's
// parts.
func isOurs(err error) bool {
	switch err.(type) {
	case *publicError, *TokenError:
		return true
	}
	return false
}

// foreign scrubs the text of an error of one of the user's parts. An error of this
// package, such as that of a FileSource, stays as it is.
func foreign(err error) error {
	if isOurs(err) {
		return err
	}
	return redact.Error(err)
}

// partError makes an error of a source fit to be a part of another error's text.
func partError(err error) error {
	if err == nil {
		return nil
	}
	return inner(foreign(err))
}

// ofSource adds to the error of one of the user's sources which source it is.
func ofSource(what string, err error) error {
	if isOurs(err) {
		return err
	}
	return fmt.Errorf("%s: %w", what, redact.Error(err))
}
