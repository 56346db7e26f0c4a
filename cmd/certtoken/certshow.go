package main

import (
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

type certShowCommand struct {
	console *console.Console
	cert    certFlags
	json    bool
}

func newCertShow(c *console.Console) *cobra.Command {
	s := &certShowCommand{console: c}
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show what is in a certificate file",
		Long: `Shows the certificate in a file, PFX, PEM or DER, with or without a private key:
who it is for, until when, its thumbprints and its chain. FILE - is standard
input.`,
		Example: `  certtoken cert show private.pfx
  certtoken cert show public.cer --json
  certtoken cert show client.crt --key client.key`,
		Args: exactArgs("a FILE"),
		RunE: s.run,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	s.cert.addTo(cmd.Flags())
	return cmd
}

func (s *certShowCommand) run(cmd *cobra.Command, args []string) error {
	s.cert.file = args[0]
	shown, err := s.load(cmd)
	if err != nil {
		return err
	}
	if s.json {
		return s.console.PrintJSON(newCertJSON(shown))
	}
	printRows(s.console, shown.rows(s.cert.name(), time.Now()))
	return nil
}

// load reads a pair, or certificates alone.
func (s *certShowCommand) load(cmd *cobra.Command) (*shownCert, error) {
	content, err := s.cert.read(cmd.Context(), s.console)
	if err != nil {
		return nil, err
	}
	return s.cert.show(cmd.Context(), s.console, content)
}
