package agent

import (
	"errors"
	"fmt"
)

const prefix = "certtoken: agent: "

// ErrClosed is what Serve and Update answer after Close.
var ErrClosed = errors.New(prefix + "closed")

// prefixed puts the package's name before each of several joined errors.
func prefixed(err error) error {
	var errs []error
	for _, one := range unjoin(err) {
		errs = append(errs, fmt.Errorf(prefix+"%w", one))
	}
	return errors.Join(errs...)
}

// unjoin lists what errors.Join has joined.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
