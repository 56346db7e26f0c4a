package main

import (
	"fmt"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/gitcredential"
	"github.com/spf13/cobra"
)

type gitCredentialCommand struct {
	console *console.Console
	source  tokenSource
	hosts   []string
}

func newGitCredential(c *console.Console) *cobra.Command {
	g := &gitCredentialCommand{console: c, source: tokenSource{console: c}}
	cmd := &cobra.Command{
		Use:   "git-credential OPERATION",
		Short: "Give git a token for Azure DevOps",
		Long: `Is a credential helper of git: git calls it with the operation get, store or
erase. It answers for https and for dev.azure.com, *.visualstudio.com and the
hosts of --host only; for others git goes on to the next helper. Git from 2.46
on sends the token as Bearer, older versions as a password.

The token comes from the agent that --agent or CERTTOKEN_AGENT names, or from
the server, with a certificate whose password is in a file or a variable.`,
		Example: `  git config --global credential.https://dev.azure.com.helper \
    "!certtoken git-credential --agent /run/certtoken/agent.sock"

  git -c credential.helper="!certtoken git-credential --client-id ID \
    --tenant contoso.onmicrosoft.com --cert private.pfx" clone URL`,
		Args:      exactArgs("an OPERATION: get, store or erase"),
		ValidArgs: []string{"get", "store", "erase"},
		RunE:      g.run,
	}
	cmd.Flags().StringArrayVar(&g.hosts, "host", nil,
		"another `HOST` to answer for, such as git.example.com or *.example.com")
	g.source.addTo(cmd)
	return cmd
}

func (g *gitCredentialCommand) run(cmd *cobra.Command, args []string) error {
	hosts, err := gitcredential.NewHosts(g.hosts)
	if err != nil {
		return failure.Usagef("--host: %w", err)
	}
	if args[0] != "get" { // a token isn't git's to keep, and operations that aren't known are ignored
		return nil
	}
	if g.console.Interactive() { // git isn't there, somebody tries it
		fmt.Fprintln(g.console.Err, "Type what git sends: protocol=https, host=dev.azure.com, and an empty line.")
	}
	request, err := gitcredential.Read(g.console.In)
	if err != nil {
		return failure.Errorf("%w", err)
	}
	if !hosts.Has(request) {
		return nil // an answer without attributes: git asks the next helper
	}
	if len(strings.Fields(strings.Join(g.source.target.scopes, " "))) == 0 {
		g.source.target.scopes = []string{azureDevOpsScope}
	}
	token, err := g.source.get(cmd)
	if err != nil {
		return err
	}
	if token.typ != bearer {
		return failure.Errorf("git sends Bearer tokens only, and this one is %s", console.Printable(token.typ))
	}
	credential := gitcredential.Credential{Token: token.reveal(), ExpiresAt: token.expiresAt}
	return credential.Write(g.console.Out, request)
}
