package console

import (
	"context"
	"fmt"

	"golang.org/x/term"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// Prompt asks the person at the terminal for a password, which the terminal
// doesn't show. It returns failure.ErrInterrupted if the context ends first.
func (c *Console) Prompt(ctx context.Context, question string) (string, error) {
	fd := int(c.In.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("password prompt: %w", err)
	}
	fmt.Fprint(c.Err, Printable(question)+": ")
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() { // the read can't be cancelled: it ends with the program
		text, err := term.ReadPassword(fd)
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		fmt.Fprintln(c.Err)
		return string(a.text), a.err
	case <-ctx.Done():
		_ = term.Restore(fd, before) // the terminal may be gone
		fmt.Fprintln(c.Err)
		return "", failure.ErrInterrupted
	}
}

// PromptNew asks for a new password twice.
func (c *Console) PromptNew(ctx context.Context, question string) (string, error) {
	first, err := c.Prompt(ctx, question)
	if err != nil {
		return "", err
	}
	again, err := c.Prompt(ctx, "Once more")
	switch {
	case err != nil:
		return "", err
	case first != again:
		return "", failure.Errorf("the two passwords differ")
	}
	return first, nil
}
