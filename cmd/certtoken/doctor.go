package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

type doctorCommand struct {
	console *console.Console
	target  targetFlags
	cer     string
	json    bool
}

func newDoctor(c *console.Console) *cobra.Command {
	d := &doctorCommand{console: c}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check one by one everything that can be wrong",
		Long: `Checks file, password, key, validity, thumbprint, connection, TLS, clock,
exchange and token one by one, and says what to do if something is wrong. A
check that can't be made because an earlier one has failed is marked –. The
doctor asks for a real token, which it doesn't print.

Without --scope, it asks Entra ID for a token for Microsoft Graph.`,
		Example: `  certtoken doctor --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --cer public.cer`,
		Args: noArgs,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON")
	inGroup(cmd.Flags(), flagsOutput)
	d.target.addTo(cmd)
	cmd.Flags().StringVar(&d.cer, "cer", "", "`FILE` with the certificate that was uploaded, to compare")
	cmd.Flags().Lookup("cer").Annotations = map[string][]string{groupAnnotation: {flagsCertificate}}
	return cmd
}

func (d *doctorCommand) run(cmd *cobra.Command, _ []string) error {
	target, err := d.target.resolve(cmd, d.console, false)
	if err != nil {
		return err
	}
	list := &checklist{console: d.console, json: d.json}
	cert, err := list.checkCertificate(cmd.Context(), target, d.cer)
	if err != nil {
		return err
	}
	connected := list.checkConnection(cmd.Context(), target)
	token := list.checkExchange(cmd.Context(), target, cert, connected)
	list.checkToken(target, token)
	if cmd.Context().Err() != nil {
		return failure.ErrInterrupted
	}
	return list.conclude()
}
