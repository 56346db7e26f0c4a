package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/spf13/cobra"
)

type decodeCommand struct {
	console *console.Console
	json    bool
}

func newDecode(c *console.Console) *cobra.Command {
	d := &decodeCommand{console: c}
	cmd := &cobra.Command{
		Use:   "decode [FILE | TOKEN]",
		Short: "Show a JWT's header and claims",
		Long: `Shows the header and the claims of a JWT, with times in local time. The
signature is neither checked nor printed.

The JWT comes from a file, from standard input, or from the command line, where
every process of the machine can read it: a token that is still valid is better
in a file or a pipe. It may stand in an Authorization header, or in the JSON of
a token response or of "az account get-access-token".`,
		Example: `  certtoken token --scope api://orders/.default | certtoken decode
  az account get-access-token | certtoken decode
  certtoken decode --json token.txt`,
		Args: d.args,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON, without local times")
	inGroup(cmd.Flags(), flagsOutput)
	return cmd
}

func (d *decodeCommand) args(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return exactArgs("at most one FILE or TOKEN")(cmd, args)
	}
	return nil
}

// text is what the argument names: a token, a file, or standard input. Without one it is
// standard input.
func (d *decodeCommand) text(cmd *cobra.Command, args []string) (string, error) {
	name := "-"
	if len(args) > 0 {
		name = args[0]
	}
	if jwt.Is(name) {
		return name, nil
	}
	return readSecretText(cmd.Context(), d.console, "FILE", name, "token", jwt.MaxSize)
}

func (d *decodeCommand) run(cmd *cobra.Command, args []string) error {
	text, err := d.text(cmd, args)
	if err != nil {
		return err
	}
	parts, err := jwt.Read(text)
	if err != nil {
		return err
	}
	if d.json {
		return d.console.PrintJSON(parts)
	}
	d.show("header", parts.Header)
	d.show("claims", parts.Claims)
	return nil
}

func (d *decodeCommand) show(title string, object json.RawMessage) {
	d.console.Printf("%s ", d.console.Styled(console.Bold, title))
	for _, line := range indented(object) {
		text := console.Printable(jwt.ShortenOpaque(line))
		if note := noteOn(line); note != "" {
			text += "  " + d.console.Styled(console.Dim, "// "+note)
		}
		d.console.Printf("%s\n", text)
	}
}

// noteOn explains a line of a token: a time, or a claim whose value says nothing to its
// reader. It is "" for other lines.
func noteOn(line string) string {
	if at, ok := jwt.TimeClaim(line); ok {
		return times.Local(at, time.Now())
	}
	return jwt.OpaqueClaim(line)
}

func indented(object json.RawMessage) []string {
	var b bytes.Buffer
	if json.Indent(&b, object, "", "  ") != nil {
		return nil // can't be: package jwt has parsed it
	}
	return strings.Split(b.String(), "\n")
}
