package main

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// execute runs the command line and returns the exit status.
func execute(ctx context.Context, c *console, args []string) int {
	root := newRoot(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && c.out.failed != nil {
		err = failf("writing the output: %w", c.out.failed)
	}
	if err != nil && ctx.Err() != nil && exitStatus(err) != exitUsage {
		err = errInterrupted
	}
	if err != nil {
		c.report(err)
	}
	return exitStatus(err)
}

// Groups of commands in the root's help.
const (
	groupTokens = "tokens"
	groupCerts  = "certificates"
	groupOther  = "other"
)

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "certtoken COMMAND",
		Short: "A certificate in, an access token out",
		Long: `certtoken proves who an application is with its certificate and gets an access
token for it: from Microsoft Entra ID, ADFS, or any OAuth server that takes
private_key_jwt (RFC 7523).`,
		Example: `  certtoken cert new --subject my-app
  certtoken doctor --tenant TENANT --client-id ID --cert private.pfx
  certtoken token --tenant TENANT --client-id ID --cert private.pfx \
    --scope https://graph.microsoft.com/.default`,
		Args:              noArgs,
		RunE:              needsCommand,
		Version:           versionText(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},

		SuggestionsMinimumDistance: 2,
	}
	cobra.EnableCommandSorting = false // the order is by what one needs first
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetIn(c.in)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(printHelp)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupTokens, Title: "Tokens"},
		&cobra.Group{ID: groupCerts, Title: "Certificates"},
		&cobra.Group{ID: groupOther, Title: "Other"},
	)
	addTo(root, groupTokens, newToken(c), newAssertion(c), newDecode(c), newDoctor(c), newServe(c))
	addTo(root, groupCerts, newCert(c))
	addTo(root, groupOther, newCompletion(c), newReference(c), newVersion(c))
	help := newHelp()
	help.GroupID = groupOther
	root.SetHelpCommand(help)
	root.InitDefaultHelpCmd()
	return root
}

func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = group
		root.AddCommand(cmd)
	}
}

// needsCommand is what a command does that only has subcommands.
func needsCommand(cmd *cobra.Command, _ []string) error {
	return usagef("%q needs a command", cmd.CommandPath()).advise(seeHelp(cmd))
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
		return usagef("%q takes no arguments, only flags", cmd.CommandPath()).advise(seeHelp(cmd))
	}
	if !commandName.MatchString(args[0]) {
		return usagef("%q has no such command", cmd.CommandPath()).advise(seeHelp(cmd))
	}
	f := usagef("%q has no command %q", cmd.CommandPath(), args[0])
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		f.advise("Did you mean " + strings.Join(names, " or ") + "?")
	}
	return f.advise(seeHelp(cmd))
}

var commandName = regexp.MustCompile(`^[a-z-]{1,16}$`)

// exactArgs wants these arguments.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usagef("%q takes %s", cmd.CommandPath(), strings.Join(names, " and ")).advise(seeHelp(cmd))
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
		return usagef("%w", err).advise(seeHelp(cmd))
	}
	name := unknown.GetSpecifiedName()
	if strings.HasPrefix(name, "pass") || strings.Contains(name, "secret") {
		return usagef("there is no flag --%s: a password in the arguments could be read by every process", name).
			advise("Use --password-env VAR or --password-file FILE (- for standard input), or be",
				"asked for it on a terminal.")
	}
	if unknown.GetSpecifiedShortnames() != "" {
		return usagef("there is no flag -%s", name).advise(seeHelp(cmd))
	}
	if !flagName.MatchString(name) {
		return usagef("there is no such flag").advise(seeHelp(cmd))
	}
	return usagef("there is no flag --%s", name).advise(seeHelp(cmd))
}

var flagName = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)
