package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/spf13/pflag"
)

const (
	envPassword = azureenv.Password

	// fromTerminal is the origin of a password that somebody has typed.
	fromTerminal = "the terminal"

	// maxPasswordFile is more than any password needs, so a larger file is the
	// wrong one.
	maxPasswordFile = 64 << 10
)

// passwordFlags say where a password comes from.
type passwordFlags struct {
	prefix    string // of the flags' names: "" or "out-"
	env, file string
	fallback  string // the environment variable to use without a flag, or ""
}

func (p *passwordFlags) addTo(flags *pflag.FlagSet, of string) {
	usage := "environment `VAR` that holds " + of
	if p.fallback != "" {
		usage += " (default " + p.fallback + ")"
	}
	flags.StringVar(&p.env, p.prefix+"password-env", "", usage)
	flags.StringVar(&p.file, p.prefix+"password-file", "", "`FILE` that holds "+of+"; - is standard input")
}

// password is a password or none: an empty password is not the same as none. No
// printing verb shows it.
type password struct {
	reveal func() string // nil: none was given
	from   string        // where it came from, in words
}

// from is what messages call the password's file.
func (p *passwordFlags) from() string {
	if p.file == "-" {
		return "standard input"
	}
	return p.file
}

func newPassword(text, from string) password {
	return password{func() string { return text }, from}
}

func (p password) given() bool { return p.reveal != nil }

// read reads the password from where the flags say. It doesn't prompt for it.
func (p *passwordFlags) read(ctx context.Context, c *console.Console) (password, error) {
	switch {
	case p.env != "" && p.file != "":
		return password{}, failure.Usagef("--%spassword-env and --%spassword-file exclude each other", p.prefix, p.prefix)
	case p.env != "":
		text, ok := os.LookupEnv(p.env)
		if !ok {
			return password{}, failure.Usagef("--%spassword-env: this environment variable is not set", p.prefix).
				Advise("Give the variable's name, not the password.")
		}
		return newPassword(text, "environment variable "+p.env), nil
	case p.file != "":
		text, err := readPasswordFile(ctx, c, "--"+p.prefix+"password-file", p.file)
		if err != nil {
			return password{}, err
		}
		return newPassword(text, p.from()), nil
	case p.fallback != "" && os.Getenv(p.fallback) != "":
		return newPassword(os.Getenv(p.fallback), "environment variable "+p.fallback), nil
	}
	return password{}, nil
}

// readPasswordFile reads a password as editors and shells write it: one line
// end and a byte order mark aren't part of it.
func readPasswordFile(ctx context.Context, c *console.Console, flag, name string) (string, error) {
	text, err := readSecretText(ctx, c, flag, name, "password", maxPasswordFile)
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), err
}

// newPasswordFlags say where the password of a new file comes from.
type newPasswordFlags struct {
	passwordFlags
	empty bool
}

func (p *newPasswordFlags) addTo(flags *pflag.FlagSet, of string) {
	p.passwordFlags.addTo(flags, of)
	flags.BoolVar(&p.empty, p.prefix+"no-password", false, "leave "+of+" empty")
}

// get reads the password from where the flags say, or asks for it.
func (p *newPasswordFlags) get(ctx context.Context, c *console.Console, question string) (password, error) {
	if p.empty {
		if p.env != "" || p.file != "" {
			return password{}, failure.Usagef("--%sno-password excludes the other password flags", p.prefix)
		}
		return newPassword("", "--"+p.prefix+"no-password"), nil
	}
	pass, err := p.read(ctx, c)
	if err != nil || pass.given() {
		return pass, err
	}
	if !c.Interactive() {
		return password{}, failure.Usagef("no password for the new PFX, and no terminal to ask for one").
			Advise(fmt.Sprintf("Give --%[1]spassword-env VAR or --%[1]spassword-file FILE, or --%[1]sno-password", p.prefix),
				"for an empty one.")
	}
	text, err := c.PromptNew(ctx, question)
	if err == nil && text == "" {
		err = failure.Errorf("the password is empty").Advise("If that is meant, give --" + p.prefix + "no-password.")
	}
	return newPassword(text, fromTerminal), err
}

// optional reads the password from where the flags say, and doesn't ask for one.
func (p *newPasswordFlags) optional(ctx context.Context, c *console.Console) (password, error) {
	if p.empty {
		return p.get(ctx, c, "")
	}
	return p.read(ctx, c)
}
