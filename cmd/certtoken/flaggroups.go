package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
	flagsExchange    = "Exchange of a token"
	flagsAgent       = "Listening and callers"
	flagsAgentClient = "Agent"
	flagsRotation    = "Rotation"
)

// flagBound is the name of a flag that others exclude.
const flagBound = "bound"

var flagGroups = []string{
	flagsOutput, flagsRotation, flagsAgent, flagsAgentClient, flagsWho, flagsExchange, flagsCertificate, flagsServer,
	flagsAssertion, flagsConnection,
	"",
}

// inGroup marks every flag of a set as one of a group.
func inGroup(flags *pflag.FlagSet, group string) {
	flags.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupAnnotation: {group}}
	})
}

// flagsOf returns the flags of a command that are in this group. The group "" has
// the flags that are in no other.
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

// completeWords lets the shell complete a flag's value to one of these words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	complete := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // only if the flag isn't defined
	}
}
