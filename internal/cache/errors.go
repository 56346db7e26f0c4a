package cache

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is what callers get when the workers are closed.
	ErrClosed = errors.New("the cache is closed")

	// ErrForcedLately leaves a resource's refusal of a token as it is.
	ErrForcedLately = errors.New("the token was already renewed for this resource within the last minute")

	// ErrOwnFlight is for a caller who would wait for a flight within that flight.
	ErrOwnFlight = errors.New("asks for the token that it is called for")

	errWithdrawn = errors.New("nobody waited for the flight when its turn came")
)

// ShortLivedError says that a new token doesn't live as long as was asked for.
type ShortLivedError[T any] struct {
	Token  *T
	Wanted time.Duration
}

func (e *ShortLivedError[T]) Error() string {
	return fmt.Sprintf("a new token is not handed out for %v", e.Wanted)
}

// LeftError says that a caller's own context ended before its flight.
type LeftError struct {
	Err, Cause error  // of the context
	Trouble    string // that the flight has met so far, or ""
}

func (e *LeftError) Error() string {
	text := "gave up waiting for a token"
	if e.Trouble != "" {
		text += " (so far: " + e.Trouble + ")"
	}
	text += ": " + e.Err.Error()
	if !errors.Is(e.Cause, e.Err) {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the context's error and its cause.
func (e *LeftError) Unwrap() []error { return []error{e.Err, e.Cause} }

// AbandonedError says which part of the program hangs. Either a flight was given
// up because it didn't end in its time, or so many were that none is started.
type AbandonedError struct {
	Part     string        // of the program, as its task named it
	After    time.Duration // since the flight had its place; 0: it wasn't started
	Running  int           // flights that were given up and still run: of the key, or
	OfClient bool          // of all keys
	limit    error
}

func (e *AbandonedError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("%s did not return within %v, though its context had ended: %v", e.Part, e.After, e.limit)
	}
	of := "for this token"
	if e.OfClient {
		of = "of this client"
	}
	return fmt.Sprintf("%d requests %s still hang in %s, so no other is made", e.Running, of, e.Part)
}

// Unwrap returns the end of the flight's time.
func (e *AbandonedError) Unwrap() error { return e.limit }
