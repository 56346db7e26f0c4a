package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

func newCert(c *console.Console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert COMMAND",
		Short: "Make, request, show and convert certificates",
		Example: `  certtoken cert new --subject my-app
  certtoken cert csr --subject my-app --key ec
  certtoken cert show private.pfx
  certtoken cert convert private.pfx private.pem`,
		Args: noArgs,
		RunE: needsCommand,
	}
	cmd.AddCommand(newCertNew(c), newCertCSR(c), newCertShow(c), newCertConvert(c))
	return cmd
}
