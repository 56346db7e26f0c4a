package main

import (
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
)

// execute runs the command line and returns the exit status.
func execute(ctx context.Context, c *console.Console, args []string) int {
	c.HideWith(userinfo.New(args, os.Environ()).Hide)
	root := newRoot(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && c.WriteError() != nil {
		err = failure.Errorf("writing the output: %w", c.WriteError())
	}
	if err != nil && ctx.Err() != nil && !failure.IsUsage(err) {
		err = failure.ErrInterrupted
	}
	switch {
	case err == nil:
	case slices.Contains(args, "--json"): // the error may be that the flags can't be read
		reportJSON(c, err)
	default:
		report(c, err)
	}
	return exitStatus(err)
}

// Groups of commands in the root's help.
const (
	groupTokens = "tokens"
	groupCerts  = "certificates"
	groupOther  = "other"
)

func newRoot(c *console.Console) *cobra.Command {
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
	cobra.EnableCommandSorting = false // the help lists the commands in the order in which one needs them
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.SetIn(c.In)
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
