package main

import (
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// needsCommand is what a command does that only has subcommands.
func needsCommand(cmd *cobra.Command, _ []string) error {
	return failure.Usagef("%q needs a command", cmd.CommandPath()).Advise(seeHelp(cmd))
}

func seeHelp(cmd *cobra.Command) string {
	return `See "` + cmd.CommandPath() + ` --help".`
}

// noArgs refuses arguments. It repeats only what looks like a command's name:
// an argument by mistake may be a password or a token.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return failure.Usagef("%q takes no arguments, only flags", cmd.CommandPath()).Advise(seeHelp(cmd))
	}
	if !commandName.MatchString(args[0]) {
		return failure.Usagef("%q has no such command", cmd.CommandPath()).Advise(seeHelp(cmd))
	}
	f := failure.Usagef("%q has no command %q", cmd.CommandPath(), args[0])
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		f.Advise("Did you mean " + strings.Join(names, " or ") + "?")
	}
	return f.Advise(seeHelp(cmd))
}

var commandName = regexp.MustCompile(`^[a-z-]{1,16}$`)

// exactArgs wants these arguments.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return failure.Usagef("%q takes %s", cmd.CommandPath(), strings.Join(names, " and ")).Advise(seeHelp(cmd))
		}
		return nil
	}
}

// flagError is wrong usage of a flag. Passwords are never flags, so one that was
// tried as a flag isn't repeated; nor is what doesn't look like a flag's name,
// which may be a token.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return failure.Usagef("%w", err).Advise(seeHelp(cmd))
	}
	name := unknown.GetSpecifiedName()
	if strings.HasPrefix(name, "pass") || strings.Contains(name, "secret") {
		return failure.Usagef("there is no flag --%s: a password in the arguments could be read by every process", name).
			Advise("Use --password-env VAR or --password-file FILE (- for standard input), or be",
				"asked for it on a terminal.")
	}
	if unknown.GetSpecifiedShortnames() != "" {
		return failure.Usagef("there is no flag -%s", name).Advise(seeHelp(cmd))
	}
	if !flagName.MatchString(name) {
		return failure.Usagef("there is no such flag").Advise(seeHelp(cmd))
	}
	return failure.Usagef("there is no flag --%s", name).Advise(seeHelp(cmd))
}

var flagName = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)
