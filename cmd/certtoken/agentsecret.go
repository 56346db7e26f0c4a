package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

func newAgentSecret(c *console.Console) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "secret FILE",
		Short: "Make the secret by which a program asks the agent",
		Long: `Writes a new random secret into a file that only its owner may read. It is worth
something on this machine only, where the agent's configuration names the file.`,
		Example: "  certtoken agent secret billing.secret",
		Args:    exactArgs("a FILE to write"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeFile(args[0], []byte(newSecret()+"\n"), modePrivate, force); err != nil {
				return err
			}
			c.Printf("%s was written.\n", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "replace the file")
	return cmd
}
