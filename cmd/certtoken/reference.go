package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

//go:generate sh -c "go run . reference > docs/cli.md"

func newReference(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use:     "reference",
		Short:   "Print this program's reference in Markdown",
		Example: "  certtoken reference > cli.md",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			writeReference(c.Out, cmd.Root())
			return nil
		},
	}
}

// writeReference writes the help of every command as one page.
func writeReference(w io.Writer, root *cobra.Command) {
	fmt.Fprint(w, "# certtoken\n\nPrinted by `certtoken reference`.\n\n")
	visit(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		fmt.Fprintf(w, "- [%s](#%s): %s\n", path, strings.ReplaceAll(path, " ", "-"), cmd.Short)
	})
	visit(root, func(cmd *cobra.Command) { writeSection(w, cmd) })
	writeStatuses(w)
}

// exitStatuses are the exit statuses in the order in which documents list them.
var exitStatuses = []struct {
	status  int
	meaning string
}{
	{statusDone, "done"},
	{statusFailure, "failed for another reason than those below; of `doctor`: a check failed"},
	{statusUsage, "wrong usage: the command line or a variable is mistaken"},
	{statusCertificate, "the certificate, its key or its password can't be used; for a file that isn't there or can't be " +
		"read it is 1"},
	{statusRefused, "the server has refused the request, and would refuse it again"},
	{statusTemporary, "no connection, no answer in time, or the server is busy: it may work later"},
	{statusWarning, "of `doctor`, `rotate status` and `rotate --now --remove-after 0`: nothing failed, and something " +
		"should be done, such as to renew the certificate"},
	{statusInterrupted, "interrupted"},
}

func writeStatuses(w io.Writer) {
	fmt.Fprint(w, "\n## Exit status\n\n| status | meaning |\n|---|---|\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(w, "| %d | %s |\n", s.status, s.meaning)
	}
	fmt.Fprint(w, errorReference)
}

const errorReference = `
An error is one line ` + "`certtoken: …`" + ` on standard error, with advice below it.
With ` + "`--json`" + ` it is one line of JSON there: ` + "`{\"error\":{…}}`" + ` with
` + "`message`, `advice`, `exit_status` and `temporary`" + `, and, if the server has
refused the request, ` + "`http_status`, `code`, `aadsts`, `retry_after` (seconds), `trace_id`\nand `correlation_id`" + `.
`

func writeSection(w io.Writer, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	fmt.Fprintf(w, "\n## %s\n\n%s\n", cmd.CommandPath(), strings.TrimSpace(describe(cmd)))
	fmt.Fprintf(w, "\n```\n%s\n```\n", useLine(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n\n```\n%s\n```\n", unindent(cmd.Example))
	}
	for _, group := range flagGroups {
		if set := flagsOf(cmd, group); set.HasFlags() {
			fmt.Fprintf(w, "\n%s:\n\n```\n%s```\n", groupTitle(group), set.FlagUsagesWrapped(helpWidth))
		}
	}
}

func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}
