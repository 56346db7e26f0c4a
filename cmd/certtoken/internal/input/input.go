// Package input reads what the user names: files, pipes such as the shell's
// <(command), and standard input. Everything that it reads is bounded in size
// and in time.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

const (
	// MaxFile is what the library reads of a certificate file.
	MaxFile = 1 << 20

	// waitLimit is how long a file or a pipe may take. The program that writes a
	// pipe may have to ask a server first, as "az keyvault secret show" does.
	waitLimit = 2 * time.Minute

	// stdinLimit is the same for standard input. In "certtoken token | certtoken
	// decode" a person may have to type a password before anything comes.
	stdinLimit = 10 * time.Minute
)

var (
	// ErrTooLarge means that there was more to read than the limit.
	ErrTooLarge = errors.New("it is too large")

	// ErrSilent means that a pipe didn't end within the time limit.
	ErrSilent = errors.New("it did not end in time")
)

// Source is something to read from.
type Source struct {
	name  string
	stdin *os.File // nil: the name is a file's
	size  int64
	wait  time.Duration
}

// File is the file of this name; - is standard input.
func File(name string, stdin *os.File) *Source {
	s := &Source{name: name, size: MaxFile, wait: waitLimit}
	if name == "-" {
		s.name, s.stdin, s.wait = "standard input", stdin, stdinLimit
	}
	return s
}

// Limit sets how many bytes are read at most.
func (s *Source) Limit(bytes int64) *Source {
	s.size = bytes
	return s
}

// Read reads all of it. Its errors wrap those of package os, ErrTooLarge or
// ErrSilent, or are failure.ErrInterrupted if the context ends first. They begin
// with the name.
func (s *Source) Read(ctx context.Context) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // opening a pipe can block too, and can't be cancelled: it ends with the program
		data, err := s.readAll()
		done <- result{data, err}
	}()
	var limit <-chan time.Time
	if !s.typed() {
		timer := time.NewTimer(s.wait)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case r := <-done:
		return r.data, r.err
	case <-limit:
		return nil, failure.Errorf("%s: %w: no end within %v", s.name, ErrSilent, s.wait).
			Advise("Is the program that writes it waiting for something?")
	case <-ctx.Done():
		return nil, failure.ErrInterrupted
	}
}

// typed reports whether a person types it, who has all the time.
func (s *Source) typed() bool { return s.stdin != nil && term.IsTerminal(int(s.stdin.Fd())) }

func (s *Source) readAll() ([]byte, error) {
	in := s.stdin
	if in == nil {
		f, err := os.Open(s.name)
		if err != nil {
			return nil, failure.Errorf("%w", failure.File(err))
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, s.size+1))
	switch {
	case err != nil && s.stdin != nil:
		return nil, failure.Errorf("%s: %w", s.name, reason(err))
	case err != nil:
		return nil, failure.Errorf("%w", failure.File(err))
	case int64(len(data)) > s.size:
		return nil, failure.Errorf("%s: %w: it has over %d bytes", s.name, ErrTooLarge, s.size)
	}
	return data, nil
}

// reason is an error of package os without its file's name.
func reason(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return fmt.Errorf("read: %w", err)
}
