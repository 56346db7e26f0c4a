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

func writeCommands(w io.Writer, cmd *cobra.Command, group string) {
	for _, sub := range cmd.Commands() {
		if sub.GroupID == group && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
		}
	}
}
