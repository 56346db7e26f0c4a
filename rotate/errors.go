package rotate

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFollowed says that the client doesn't follow a file in the folder, so that a new
	// file there wouldn't reach it.
	ErrNotFollowed = errors.New("the client doesn't follow a file in this folder")

	// ErrState is a state file that this version can't use: damaged, or of a later version.
	ErrState = errors.New("the state of the rotation can't be used")

	// ErrRefused is wrapped by the error of a [Registrar] that knows for sure that it changed
	// nothing. After any other error the key may be registered, or removed, all the same.
	ErrRefused = errors.New("refused")
)

// Error is why a step failed. Its text has no secret, and says what to do.
type Error struct {
	Step   Step
	Advice string // what to do by hand if it goes on failing
	Err    error
}

// Error says which step failed, why, and what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("rotate: %s: %v; %s", e.Step, e.Err, e.Advice)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
