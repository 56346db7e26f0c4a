package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
)

// execute runs the command line and returns the exit status.
func execute(ctx context.Context, c *console.Console, args []string) int {
	c.HideWith(userinfo.New(args, os.Environ()).Hide)
	root := newRootFor(c, args)
	root.SetArgs(args)
	json := wantsJSON(args)
	if json {
		c.StayStill()
	}
	err := namedCommand(root, args, root.ExecuteContext(ctx))
	if err == nil && c.WriteError() != nil {
		err = failure.Errorf("writing the output: %w", c.WriteError())
	}
	if err != nil && ctx.Err() != nil && !failure.IsUsage(err) {
		err = failure.ErrInterrupted
	}
	switch {
	case err == nil:
	case json:
		reportJSON(c, err)
	default:
		report(c, err)
	}
	return exitStatus(err)
}

// wantsJSON reports whether the output is JSON, and so are errors. It looks at the words,
// because the error may be that the flags can't be read.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json", "--json=true", "--output=json", "-ojson", "-o=json":
			return true
		case "json":
			if i > 0 && (args[i-1] == "--output" || args[i-1] == "-o") {
				return true
			}
		}
	}
	return false
}

// namedCommand is err, or the error about a mistyped command where flags stood before it:
// those were taken for flags of the group, which has none.
func namedCommand(root *cobra.Command, args []string, err error) error {
	var unknown noFlag
	of, _, findErr := root.Find(args)
	if !errors.As(err, &unknown) || findErr != nil || !of.HasAvailableSubCommands() {
		return err
	}
	path := strings.Fields(of.CommandPath())
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") || slices.Contains(path, arg) {
			continue
		}
		if len(similarCommands(of, arg)) > 0 {
			return noSuchCommand(of, arg)
		}
	}
	return err
}

// Groups of commands in the root's help.
const (
	groupTokens = "tokens"
	groupCerts  = "certificates"
	groupOther  = "other"
)

// The help lists the commands in the order in which one needs them. The setting is the
// program's, so it is made once.
func init() { cobra.EnableCommandSorting = false }

// commands are those of the root, in the order of its help.
var commands = []struct {
	name, group string
	make        func(*console.Console) *cobra.Command
	needsOthers bool // it tells of the other commands
}{
	{"token", groupTokens, newToken, false},
	{"assertion", groupTokens, newAssertion, false},
	{"decode", groupTokens, newDecode, false},
	{"doctor", groupTokens, newDoctor, false},
	{"serve", groupTokens, newServe, false},
	{"agent", groupTokens, newAgent, false},
	{"git-credential", groupTokens, newGitCredential, false},
	{"cert", groupCerts, newCert, false},
	{"jwks", groupCerts, newJWKS, false},
	{"rotate", groupCerts, newRotate, false},
	{"completion", groupOther, newCompletion, true},
	{"reference", groupOther, newReference, true},
	{"man", groupOther, newMan, true},
	{"version", groupOther, newVersion, false},
}

// newRoot is the root with all commands.
func newRoot(c *console.Console) *cobra.Command { return newRootWith(c, "") }

// newRootFor is the root for a command line. If that begins with the name of a command,
// the others aren't made, whose flags would take a part of the time in which a token is
// there.
func newRootFor(c *console.Console, args []string) *cobra.Command {
	for _, cmd := range commands {
		if len(args) > 0 && args[0] == cmd.name && !cmd.needsOthers {
			return newRootWith(c, cmd.name)
		}
	}
	return newRoot(c)
}

// newRootWith is the root with one command, or with all for "".
func newRootWith(c *console.Console, only string) *cobra.Command {
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
	}
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
	for _, cmd := range commands {
		if only == "" || only == cmd.name {
			made := cmd.make(c)
			made.GroupID = cmd.group
			root.AddCommand(made)
		}
	}
	help := newHelp()
	help.GroupID = groupOther
	root.SetHelpCommand(help)
	root.InitDefaultHelpCmd()
	return root
}
