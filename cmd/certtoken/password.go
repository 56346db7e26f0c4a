package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

const (
	envPassword = "AZURE_CLIENT_CERTIFICATE_PASSWORD"

	// fromTerminal is where a password came from that somebody has typed.
	fromTerminal = "the terminal"

	// maxPasswordFile is more than any password; a wrong file is noticed.
	maxPasswordFile = 64 << 10
)

// passwordFlags are where a password comes from.
type passwordFlags struct {
	prefix    string // of the flags' names: "" or "out-"
	env, file string
	fallback  string // environment variable without a flag, or ""
}

func (p *passwordFlags) addTo(flags *pflag.FlagSet, of string) {
	flags.StringVar(&p.env, p.prefix+"password-env", "", "environment `VAR` that holds "+of)
	flags.StringVar(&p.file, p.prefix+"password-file", "", "`FILE` that holds "+of+"; - is standard input")
}

// password is one that may not be there: none and an empty one differ. No
// printing verb shows it.
type password struct {
	reveal func() string // nil: none was given
	from   string        // where it came from, for people
}

func newPassword(text, from string) password {
	return password{func() string { return text }, from}
}

func (p password) given() bool { return p.reveal != nil }

// read takes the password from where the flags say, without asking anybody.
func (p *passwordFlags) read(c *console) (password, error) {
	switch {
	case p.env != "" && p.file != "":
		return password{}, usagef("--%spassword-env and --%spassword-file exclude each other", p.prefix, p.prefix)
	case p.env != "":
		text, ok := os.LookupEnv(p.env)
		if !ok {
			return password{}, usagef("--%spassword-env: this environment variable is not set", p.prefix).
				advise("Give the variable's name, not the password.")
		}
		return newPassword(text, "environment variable "+p.env), nil
	case p.file != "":
		text, err := readPasswordFile(c, p.file)
		return newPassword(text, p.file), err
	case p.fallback != "" && os.Getenv(p.fallback) != "":
		return newPassword(os.Getenv(p.fallback), "environment variable "+p.fallback), nil
	}
	return password{}, nil
}

// readPasswordFile reads a password as editors and shells write it: one line
// end and a byte order mark aren't part of it.
func readPasswordFile(c *console, name string) (string, error) {
	var in io.Reader = c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", failf("password file %w", fileError(err))
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPasswordFile+1))
	if err != nil {
		return "", failf("password file %w", fileError(err))
	}
	if len(data) > maxPasswordFile {
		return "", failf("password file %s: it has over %d bytes", name, maxPasswordFile)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// prompt asks a person without showing what is typed.
func (c *console) prompt(ctx context.Context, question string) (string, error) {
	fd := int(c.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("password prompt: %w", err)
	}
	fmt.Fprint(c.err, printable(question)+": ")
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
		fmt.Fprintln(c.err)
		return string(a.text), a.err
	case <-ctx.Done():
		_ = term.Restore(fd, before) // the terminal may be gone
		fmt.Fprintln(c.err)
		return "", errInterrupted
	}
}

// promptNew asks for a new password twice.
func (c *console) promptNew(ctx context.Context, question string) (string, error) {
	first, err := c.prompt(ctx, question)
	if err != nil {
		return "", err
	}
	again, err := c.prompt(ctx, "Once more")
	switch {
	case err != nil:
		return "", err
	case first != again:
		return "", failf("the two passwords differ")
	}
	return first, nil
}

// newPasswordFlags are those for a file that is about to be written.
type newPasswordFlags struct {
	passwordFlags
	empty bool
}

func (p *newPasswordFlags) addTo(flags *pflag.FlagSet, of string) {
	p.passwordFlags.addTo(flags, of)
	flags.BoolVar(&p.empty, p.prefix+"no-password", false, "leave "+of+" empty")
}

// get takes the password from where the flags say, or asks for it.
func (p *newPasswordFlags) get(ctx context.Context, c *console, question string) (password, error) {
	if p.empty {
		if p.env != "" || p.file != "" {
			return password{}, usagef("--%sno-password excludes the other password flags", p.prefix)
		}
		return newPassword("", "--"+p.prefix+"no-password"), nil
	}
	pass, err := p.read(c)
	if err != nil || pass.given() {
		return pass, err
	}
	if !c.interactive() {
		return password{}, usagef("no password for the new PFX, and no terminal to ask for one").
			advise(fmt.Sprintf("Give --%spassword-env VAR or --%spassword-file FILE, or --%sno-password for", p.prefix, p.prefix, p.prefix),
				"an empty one.")
	}
	text, err := c.promptNew(ctx, question)
	if err == nil && text == "" {
		err = failf("the password is empty").advise("If that is meant, give --" + p.prefix + "no-password.")
	}
	return newPassword(text, fromTerminal), err
}
