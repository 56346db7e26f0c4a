package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const helpWidth = 80

// groupAnnotation names a flag's group in the help.
const groupAnnotation = "group"

// Groups of flags, in the order of the help.
const (
	flagsOutput      = "Output"
	flagsWho         = "Who asks, and for what"
	flagsCertificate = "Certificate and password"
	flagsServer      = "Server"
	flagsAssertion   = "Assertion"
	flagsConnection  = "Connection"
)

var flagGroups = []string{flagsOutput, flagsWho, flagsCertificate, flagsServer, flagsAssertion, flagsConnection, ""}

// inGroup marks every flag of a set as one of a group.
func inGroup(flags *pflag.FlagSet, group string) {
	flags.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupAnnotation: {group}}
	})
}

// flagsOf returns a command's flags of a group; "" are those without one.
func flagsOf(cmd *cobra.Command, group string) *pflag.FlagSet {
	set := pflag.NewFlagSet(group, pflag.ContinueOnError)
	set.SortFlags = false
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		name := ""
		if g := f.Annotations[groupAnnotation]; len(g) > 0 {
			name = g[0]
		}
		if name == group && !f.Hidden {
			set.AddFlag(f)
		}
	})
	return set
}

func groupTitle(group string) string {
	if group == "" {
		return "Flags"
	}
	return group
}

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
		fmt.Fprintf(w, "\n\"%s COMMAND --help\" tells more of a command.\n", cmd.CommandPath())
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

// newHelp is cobra's help command with our exit status.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Tell more of a command",
		Example: "  certtoken help cert new",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			of, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range of.Commands() {
				names = append(names, sub.Name()+"\t"+sub.Short)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no such command").advise(seeHelp(cmd.Root()))
			}
			writeHelp(cmd.OutOrStdout(), of)
			return nil
		},
	}
}
