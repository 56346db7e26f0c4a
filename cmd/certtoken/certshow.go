package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

type certShowCommand struct {
	console *console
	cert    certFlags
	json    bool
}

func newCertShow(c *console) *cobra.Command {
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
		return s.console.printJSON(newCertJSON(shown))
	}
	printRows(s.console, shown.rows(s.cert.name(), time.Now()))
	return nil
}

// load reads a pair, or certificates alone.
func (s *certShowCommand) load(cmd *cobra.Command) (*shownCert, error) {
	if s.cert.key == "" {
		data, err := readFile(s.console, s.cert.file)
		if err != nil {
			return nil, err
		}
		s.cert.data = data
		shown, err := parsePublic(data, s.cert.selected)
		var several *failure
		if err == nil || errors.As(err, &several) {
			return shown, err
		}
	}
	cert, _, err := s.cert.load(cmd.Context(), s.console)
	if err != nil {
		return nil, err
	}
	return certOf(cert), nil
}
