package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// newMan makes the command that writes the man pages. It is hidden, because packages
// bring the pages along.
func newMan(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use:     "man FOLDER",
		Short:   "Write this program's man pages into a folder",
		Example: "  certtoken man /usr/local/share/man/man1",
		Args:    exactArgs("a FOLDER"),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := pageDate()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return failure.Errorf("%w", failure.File(err))
			}
			var failed error
			visit(cmd.Root(), func(of *cobra.Command) {
				var b bytes.Buffer
				writePage(&b, of, date)
				name := filepath.Join(args[0], pageName(of)+".1")
				if failed == nil {
					failed = writeFile(name, b.Bytes(), modePublic, true)
				}
			})
			return failed
		},
	}
}

// pageDate is the day that the pages show: that of SOURCE_DATE_EPOCH, by which builds
// are made reproducible, or today.
func pageDate() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, failure.Usagef("SOURCE_DATE_EPOCH is not a number of seconds")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// writePage writes the man page of a command (man(7)).
func writePage(w io.Writer, cmd *cobra.Command, date time.Time) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	name := pageName(cmd)
	fmt.Fprintf(w, ".TH %s 1 %s %q %q\n", strings.ToUpper(name), date.Format(time.DateOnly), "certtoken "+version(),
		"certtoken's manual")
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(name), roff(lowerFirst(cmd.Short)))
	synopsis := strings.TrimPrefix(useLine(cmd), cmd.CommandPath())
	fmt.Fprintf(w, ".SH SYNOPSIS\n\\fB%s\\fR%s\n", roff(cmd.CommandPath()), roff(synopsis))
	fmt.Fprint(w, ".SH DESCRIPTION\n")
	writeParagraphs(w, describe(cmd))
	writePageCommands(w, cmd)
	writePageFlags(w, cmd)
	if cmd.Example != "" {
		fmt.Fprint(w, ".SH EXAMPLES\n")
		writeVerbatim(w, strings.Split(unindent(cmd.Example), "\n"))
	}
	if !cmd.HasParent() {
		writeEnvironment(w)
	}
	fmt.Fprint(w, ".SH EXIT STATUS\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(w, ".TP\n.B %d\n%s\n", s.status, roff(strings.ReplaceAll(s.meaning, "`", "")))
	}
	writeSeeAlso(w, cmd)
}

func writePageCommands(w io.Writer, cmd *cobra.Command) {
	for i, sub := range subcommands(cmd) {
		if i == 0 {
			fmt.Fprint(w, ".SH COMMANDS\n")
		}
		fmt.Fprintf(w, ".TP\n.BR %s (1)\n%s.\n", roff(pageName(sub)), roff(sub.Short))
	}
}

func writePageFlags(w io.Writer, cmd *cobra.Command) {
	fmt.Fprint(w, ".SH OPTIONS\n")
	for _, group := range flagGroups {
		set := flagsOf(cmd, group)
		if !set.HasFlags() {
			continue
		}
		fmt.Fprintf(w, ".SS %s\n", roff(groupTitle(group)))
		set.VisitAll(func(f *pflag.Flag) { writePageFlag(w, f) })
	}
}

// writePageFlag writes a flag as pflag's help does: its usage names the value, and has
// the default that needs an explanation.
func writePageFlag(w io.Writer, f *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(f)
	fmt.Fprint(w, ".TP\n")
	if f.Shorthand != "" {
		fmt.Fprintf(w, "\\fB\\-%s\\fR, ", f.Shorthand)
	}
	fmt.Fprintf(w, "\\fB\\-\\-%s\\fR", roff(f.Name))
	if value != "" {
		fmt.Fprintf(w, " \\fI%s\\fR", roff(value))
	}
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
	default:
		usage += " (default " + f.DefValue + ")"
	}
	fmt.Fprintf(w, "\n%s\n", roff(usage))
}

// writeParagraphs writes text whose paragraphs are apart by an empty line. Lines that are
// indented stand as they are.
func writeParagraphs(w io.Writer, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 && !strings.HasPrefix(paragraph, " ") {
			fmt.Fprint(w, ".PP\n")
		}
		var table []string
		for line := range strings.SplitSeq(paragraph, "\n") {
			if strings.HasPrefix(line, " ") {
				table = append(table, line)
				continue
			}
			writeVerbatim(w, table)
			table = nil
			fmt.Fprintln(w, roff(line))
		}
		writeVerbatim(w, table)
	}
}

// writeVerbatim writes lines whose breaks and blanks stay.
func writeVerbatim(w io.Writer, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprint(w, ".EX\n")
	for _, line := range lines {
		fmt.Fprintln(w, roff(line))
	}
	fmt.Fprint(w, ".EE\n")
}

// manualVariables are the variables that the command reads.
var manualVariables = []struct{ names, meaning string }{
	{"AZURE_TENANT_ID", "The default of --tenant."},
	{"AZURE_CLIENT_ID", "The default of --client-id."},
	{"AZURE_CLIENT_CERTIFICATE_PATH", "The default of --cert."},
	{"AZURE_CLIENT_CERTIFICATE_PASSWORD", "The certificate's password."},
	{"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "The default of --x5c: true or 1."},
	{
		"AZURE_FEDERATED_TOKEN_FILE",
		"In place of --cert: a file with an assertion that a platform signed, for Entra ID only.",
	},
	{"AZURE_AUTHORITY_HOST", "The default of --authority: a host of Entra ID's clouds."},
	{"AZURE_REGIONAL_AUTHORITY_NAME", "The Azure region whose endpoint of Entra ID is asked."},
	{"AZURE_ADDITIONALLY_ALLOWED_TENANTS", "Checked only: the command asks in one tenant."},
	{
		"AZURE_KUBERNETES_TOKEN_PROXY, AZURE_KUBERNETES_SNI_NAME, AZURE_KUBERNETES_CA_FILE, AZURE_KUBERNETES_CA_DATA",
		"The token proxy by which the assertion of AZURE_FEDERATED_TOKEN_FILE is exchanged.",
	},
	{"CERTTOKEN_AGENT", "The default of --agent: the agent's socket."},
	{"CERTTOKEN_AGENT_CONFIG", "The default of --config of the command agent."},
	{"CERTTOKEN_TPM", "The TPM's device, or the socket of a TPM in software; by default the machine's own."},
	{"HTTPS_PROXY, NO_PROXY", "The proxy, and the hosts that are asked without it."},
	{"NO_COLOR", "No colour, also on a terminal."},
}

func writeEnvironment(w io.Writer) {
	fmt.Fprint(w, ".SH ENVIRONMENT\nFlags win over variables.\n")
	for _, v := range manualVariables {
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", v.names, roff(v.meaning))
	}
}

func writeSeeAlso(w io.Writer, cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, pageName(cmd.Parent()))
		for _, sibling := range subcommands(cmd.Parent()) {
			if sibling != cmd {
				pages = append(pages, pageName(sibling))
			}
		}
	} else {
		pages = append(pages, "curl", "openssl")
	}
	fmt.Fprint(w, ".SH SEE ALSO\n")
	for i, page := range pages {
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(w, ".BR %s (1)%s\n", roff(page), comma)
	}
}

// roff escapes text for a line of a man page: backslashes, hyphens (which a reader may
// copy into a shell), and what would make a request of a line's beginning.
func roff(text string) string {
	text = roffEscapes.Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

var roffEscapes = strings.NewReplacer(
	`\`, `\e`, "-", `\-`, "\n", " ", "…", "\\&...", "–", `\(en`, "✓", `\(OK`, "✗", `\[u2717]`)

// lowerFirst is text that goes on after a dash. A word in capitals stays as it is.
func lowerFirst(text string) string {
	if len(text) < 2 || text[1] >= 'A' && text[1] <= 'Z' {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}
