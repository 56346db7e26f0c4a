package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// flagError is wrong usage of a flag. It repeats no value, which may be a secret
// in the wrong place, and no flag that doesn't look like one, which may be a
// token.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if args := cmd.Flags().Args(); cmd.HasAvailableSubCommands() && len(args) > 0 {
		return noArgs(cmd, args) // a mistyped command, whose flags aren't known
	}
	var (
		unknown *pflag.NotExistError
		invalid *pflag.InvalidValueError
		lonely  *pflag.ValueRequiredError
	)
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &invalid):
		return failure.Usagef("--%s: %s", invalid.GetFlag().Name, wanted(invalid)).Advise(seeHelp(cmd))
	case errors.As(err, &lonely):
		return failure.Usagef("--%s needs a value", lonely.GetFlag().Name).Advise(seeHelp(cmd))
	}
	return failure.Usagef("there is no such flag").Advise(seeHelp(cmd))
}

// wanted says what a flag takes that was given something else.
func wanted(err *pflag.InvalidValueError) string {
	switch err.GetFlag().Value.Type() {
	case "int":
		return "give a whole number"
	case "bool":
		return "give no value, or true or false behind a ="
	}
	return err.Unwrap().Error()
}

// unknownFlag names a flag that the command doesn't have, and the one that may be
// meant. Passwords are never flags.
func unknownFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	name := err.GetSpecifiedName()
	switch {
	case strings.HasPrefix(name, "pass") || strings.Contains(name, "secret"):
		return failure.Usagef("there is no flag --%s: every process could read a password in the arguments", name).
			Advise("Use --password-env VAR or --password-file FILE (- for standard input), or be",
				"asked for it on a terminal.")
	case err.GetSpecifiedShortnames() != "":
		return failure.Usagef("%w", noFlag("-"+name)).Advise(seeHelp(cmd))
	case !flagName().MatchString(name):
		return failure.Usagef("%w", noFlag("")).Advise(didYouMean(similarFlags(cmd, name))...).Advise(seeHelp(cmd))
	}
	return failure.Usagef("%w", noFlag("--"+name)).
		Advise(didYouMean(similarFlags(cmd, name))...).
		Advise(seeHelp(cmd))
}

// noFlag is a flag that the command doesn't have. It is "" where it can't be shown.
type noFlag string

func (f noFlag) Error() string {
	if f == "" {
		return "there is no such flag"
	}
	return "there is no flag " + string(f)
}

var flagName = lazyregexp.New(`^[a-z0-9-]{1,24}$`)
