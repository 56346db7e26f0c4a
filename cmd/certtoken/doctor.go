package main

import (
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

type doctorCommand struct {
	console *console.Console
	target  targetFlags
	cer     string
	within  period
	json    bool
}

func newDoctor(c *console.Console) *cobra.Command {
	d := &doctorCommand{console: c, within: period(expiryWarning)}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check one by one everything that can be wrong",
		Long: `Checks file, password, key, validity, thumbprint, connection, TLS, clock,
exchange and token one by one, and says what to do if something is wrong. The
doctor asks for a real token, which it doesn't print.

  ✓  is right
  !  works, and something should be done: the exit status is 6 if nothing failed
  ✗  failed: the exit status is 1
  –  can't be checked because something before it failed, or doesn't apply

For monitoring, --fail-within 30d warns of a certificate that ends within 30
days. With --json, certificate.days_left and certificate.ends_soon say it.

If the environment names a platform's token and no certificate, that token is
checked: its file, its validity, and what a federated credential must have.

Without --scope, it asks Entra ID for a token for Microsoft Graph.`,
		Example: `  certtoken doctor --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --cer public.cer

  certtoken doctor --authority https://idp.example --client-id ID \
    --cert client.pem --scope orders.read --fail-within 30d --json`,
		Args: noArgs,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON")
	cmd.Flags().Var(&d.within, "fail-within", "`DURATION` before the certificate's end from which on to warn; 0 for never")
	inGroup(cmd.Flags(), flagsOutput)
	d.target.addTo(cmd)
	cmd.Flags().StringVar(&d.cer, "cer", "", "`FILE` with the certificate that was uploaded, to compare")
	cmd.Flags().Lookup("cer").Annotations = map[string][]string{groupAnnotation: {flagsCertificate}}
	return cmd
}

func (d *doctorCommand) run(cmd *cobra.Command, _ []string) error {
	target, err := d.target.describe(cmd, d.console, false)
	if err != nil {
		return err
	}
	if d.json {
		d.console.StayStill()
	}
	list := &checklist{console: d.console, json: d.json, within: time.Duration(d.within)}
	var cert *certtoken.Certificate
	needs := "" // what the exchange lacks
	if target.isFederated() {
		if !list.checkAssertion(cmd.Context(), target) {
			needs = "an assertion that is valid"
		}
	} else {
		cert, err = list.checkCertificate(cmd.Context(), target, d.cer)
		if err != nil {
			return err
		}
		if cert == nil {
			needs = "a certificate that can sign"
		}
	}
	connected := list.checkConnection(cmd.Context(), target)
	located := list.checkMetadata(cmd.Context(), target, connected)
	switch {
	case needs != "":
	case !connected:
		needs = "a connection"
	case !located:
		needs = "the server's metadata"
	}
	token := list.checkExchange(cmd.Context(), target, cert, needs)
	list.checkToken(target, token)
	if cmd.Context().Err() != nil {
		return failure.ErrInterrupted
	}
	return list.conclude()
}
