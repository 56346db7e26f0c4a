package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// needsCommand is what a command does that only has subcommands. The help goes to
// standard error: the user hasn't asked for it, and standard output may be read by a
// program.
func needsCommand(cmd *cobra.Command, _ []string) error {
	writeHelp(cmd.ErrOrStderr(), cmd)
	return failure.Usagef("%q needs a command", cmd.CommandPath())
}

func seeHelp(cmd *cobra.Command) string {
	return `See "` + cmd.CommandPath() + ` --help".`
}

// noArgs refuses arguments. Its error repeats an argument only if it looks like a
// command's name: one that was given by mistake may be a password or a token.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasAvailableSubCommands() {
		return failure.Usagef("%q takes no arguments, only flags", cmd.CommandPath()).Advise(seeHelp(cmd))
	}
	return noSuchCommand(cmd, args[0])
}

func noSuchCommand(cmd *cobra.Command, name string) error {
	err := failure.Usagef("%q has no such command", cmd.CommandPath())
	if commandName().MatchString(name) {
		err = failure.Usagef("%q has no command %q", cmd.CommandPath(), name)
	}
	return err.Advise(didYouMean(similarCommands(cmd, name))...).Advise(seeHelp(cmd))
}

var commandName = lazyregexp.New(`^[a-z-]{1,16}$`)

// exactArgs refuses a command line that has not exactly these arguments.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return failure.Usagef("%q takes %s", cmd.CommandPath(), strings.Join(names, " and ")).Advise(seeHelp(cmd))
		}
		return nil
	}
}
