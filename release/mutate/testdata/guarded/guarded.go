// Package guarded has guards of which its tests check some.
package guarded

import "errors"

const maxName = 8

// Checked has guards that its test checks.
func Checked(name string) error {
	if name == "" {
		return errors.New("no name")
	}
	if len(name) > maxName {
		return errors.New("too long")
	}
	return nil
}

// Unchecked has guards that its test doesn't check.
func Unchecked(n int, ready bool) error {
	if n < 0 || !ready {
		return errors.New("not ready")
	}
	return nil
}

// Untested has a guard, and no test.
func Untested(n int) error {
	switch {
	case n == 1:
		return errors.New("one")
	}
	return nil
}
