package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
)

// readInput reads a file, or standard input where the name is -. A person at a terminal is
// told what to type there: what says it in words. Nothing is shown while another program
// writes a pipe, because that program may be asking something on the same terminal.
func readInput(ctx context.Context, c *console.Console, name, what string, most int64) ([]byte, error) {
	if name == "-" && c.Interactive() {
		fmt.Fprintf(c.Err, "Paste %s, then press Enter and %s.\n", what, console.EndOfInput())
	}
	return input.File(name, c.In).Limit(most).Read(ctx)
}

// readSecretText reads a secret from a file: a kind of secret such as "password". What was
// given as the file's name may be the secret itself, so no error about opening it repeats
// it.
func readSecretText(ctx context.Context, c *console.Console, flag, name, kind string, most int64) (string, error) {
	data, err := readInput(ctx, c, name, "the "+kind, most)
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return "", failure.Errorf("%s: this file can't be read: %w", flag, errno).
			Advise("Give the name of a file that holds the " + kind + ", not the " + kind + ".")
	case err != nil && !errors.Is(err, failure.ErrInterrupted):
		return "", failure.Errorf("%s: %w", flag, err)
	}
	return input.Text(data), err
}
