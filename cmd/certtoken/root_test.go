package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
)

// A command that is named first is made alone, by the name that it has in the table.
func TestOnlyTheNamedCommandIsMade(t *testing.T) {
	names := func(root *cobra.Command) (list []string) {
		for _, cmd := range root.Commands() {
			list = append(list, cmd.Name())
		}
		return list
	}
	all := []string{"help"}
	for _, cmd := range commands {
		all = append(all, cmd.name)
	}
	assert.ElementsMatch(t, all, names(newRoot(testConsole(t))), "the names of the table are those of the commands")
	for _, cmd := range commands {
		want := []string{cmd.name, "help"}
		if cmd.needsOthers {
			want = all
		}
		assert.ElementsMatch(t, want, names(newRootFor(testConsole(t), []string{cmd.name, "--help"})))
	}
	for _, args := range [][]string{nil, {"help", "token"}, {"toke"}, {"__complete", "token"}, {"--help"}} {
		assert.ElementsMatch(t, all, names(newRootFor(testConsole(t), args)), args)
	}
}
