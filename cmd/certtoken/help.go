package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const helpWidth = 80

func printHelp(cmd *cobra.Command, _ []string) {
	writeHelp(cmd.OutOrStdout(), cmd)
}

func writeHelp(w io.Writer, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	fmt.Fprintf(w, "%s\n\nUsage\n  %s\n", strings.TrimSpace(describe(cmd)), useLine(cmd))
	for _, group := range cmd.Groups() {
		fmt.Fprintf(w, "\n%s\n", group.Title)
		writeCommands(w, cmd, group.ID)
	}
	if len(cmd.Groups()) == 0 && cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, "\nCommands")
		writeCommands(w, cmd, "")
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples\n%s\n", cmd.Example)
	}
	for _, group := range flagGroups {
		if set := flagsOf(cmd, group); set.HasFlags() {
			fmt.Fprintf(w, "\n%s\n%s", groupTitle(group), set.FlagUsagesWrapped(helpWidth))
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s COMMAND --help\" prints the help of a command.\n", cmd.CommandPath())
	}
}

func describe(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func useLine(cmd *cobra.Command) string {
	line := cmd.UseLine()
	return strings.Replace(line, " [flags]", " [FLAGS]", 1)
}

// commandWidth is the least width of the column in which the names of commands stand.
const commandWidth = 12

func writeCommands(w io.Writer, cmd *cobra.Command, group string) {
	width := commandWidth
	for _, sub := range cmd.Commands() {
		width = max(width, len(sub.Name()))
	}
	for _, sub := range cmd.Commands() {
		if sub.GroupID == group && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(w, "  %-*s %s\n", width, sub.Name(), sub.Short)
		}
	}
}

// visit calls f for cmd and everything below it.
func visit(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range subcommands(cmd) {
		visit(sub, f)
	}
}

// subcommands are the commands below cmd that its help lists.
func subcommands(cmd *cobra.Command) []*cobra.Command {
	var subs []*cobra.Command
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}
