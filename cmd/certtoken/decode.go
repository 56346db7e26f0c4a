package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
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
		Use:   "decode",
		Short: "Show a JWT's header and claims",
		Long: `Reads a JWT from standard input, or the JSON of a token response, and shows its
header and claims, with times in local time. The signature is neither checked
nor printed.`,
		Example: `  certtoken token --scope api://orders/.default | certtoken decode
  certtoken decode --json < token.txt`,
		Args: noArgs,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON, without local times")
	inGroup(cmd.Flags(), flagsOutput)
	return cmd
}

func (d *decodeCommand) run(cmd *cobra.Command, _ []string) error {
	if d.console.Interactive() {
		fmt.Fprintln(d.console.Err, "Paste the token, then press Enter and Ctrl-D.")
	}
	data, err := input.File("-", d.console.In).Limit(jwt.MaxSize).Read(cmd.Context())
	if err != nil {
		return err
	}
	parts, err := jwt.Read(input.Text(data))
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
		text := console.Printable(line)
		if at, ok := jwt.TimeClaim(line); ok {
			text += "  " + d.console.Styled(console.Dim, "// "+times.Local(at, time.Now()))
		}
		d.console.Printf("%s\n", text)
	}
}

func indented(object json.RawMessage) []string {
	var b bytes.Buffer
	if json.Indent(&b, object, "", "  ") != nil {
		return nil // can't be: package jwt has parsed it
	}
	return strings.Split(b.String(), "\n")
}
