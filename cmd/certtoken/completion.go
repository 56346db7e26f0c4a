package main

import (
	"github.com/spf13/cobra"
)

func newCompletion(c *console) *cobra.Command {
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
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.out)
			}
			return usagef("no completion for this shell: bash, zsh, fish or powershell").advise(seeHelp(cmd))
		},
	}
}
