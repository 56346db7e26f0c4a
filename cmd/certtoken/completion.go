package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

func newCompletion(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands and flags",
		Long: `Prints a script by which bash, zsh, fish or powershell completes commands, flags
and their values.`,
		Example: `  bash:        source <(certtoken completion bash)
  zsh:         certtoken completion zsh > "${fpath[1]}/_certtoken"
  fish:        certtoken completion fish | source
  powershell:  certtoken completion powershell | Out-String | Invoke-Expression`,
		Args:      exactArgs("a SHELL: bash, zsh, fish or powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.Out, true)
			case "zsh":
				return root.GenZshCompletion(c.Out)
			case "fish":
				return root.GenFishCompletion(c.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.Out)
			}
			return failure.Usagef("no completion for this shell: bash, zsh, fish or powershell").Advise(seeHelp(cmd))
		},
	}
}
