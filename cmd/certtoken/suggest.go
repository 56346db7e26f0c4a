package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxSuggestions is how many names are offered in place of a mistaken one.
const maxSuggestions = 3

// didYouMean is advice that names what may be meant, if there is anything.
func didYouMean(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return []string{"Did you mean " + strings.Join(names[:min(len(names), maxSuggestions)], " or ") + "?"}
}

// similarCommands are the commands below cmd that may be meant by a word: those that are
// spelt nearly the same, or else those of that name further down.
func similarCommands(cmd *cobra.Command, word string) []string {
	word = strings.ToLower(word)
	if names := nearest(cmd, word); len(names) > 0 {
		return names
	}
	var paths []string
	visit(cmd, func(sub *cobra.Command) {
		if sub.Name() == word && sub.Parent() != cmd {
			paths = append(paths, strings.TrimPrefix(sub.CommandPath(), cmd.CommandPath()+" "))
		}
	})
	return paths
}

// nearest are the names of the commands below cmd that are spelt nearly as a word: with one
// letter changed or, if there are none, with two. So "shw" finds show, and not new too.
func nearest(cmd *cobra.Command, word string) []string {
	for distance := 1; distance <= 2; distance++ {
		cmd.SuggestionsMinimumDistance = distance
		if names := cmd.SuggestionsFor(word); len(names) > 0 {
			return names
		}
	}
	return nil
}

// flagsElsewhere are the names by which other programs call what a flag here does.
var flagsElsewhere = map[string][]string{
	"issuer": {"authority"}, "host": {"authority"}, "cloud": {"authority"},
	"cacert": {"ca"}, "cafile": {"ca"}, "insecure": {"ca", "allow-http-loopback"},
	"endpoint": {"token-url"}, "url": {"token-url"},
	"appid": {"client-id"}, "applicationid": {"client-id"}, "username": {"client-id"},
	"pfx": {"cert"}, "pem": {"cert"}, "file": {"cert"},
	"resource": {"scope", "param"}, "format": {"output"}, "bits": {"key-bits"},
	"validity": {"lifetime", "days"}, "name": {"subject"}, "cn": {"subject"},
}

// similarFlags finds the flags that may be meant by a name: those that other programs call
// so, those that are spelt nearly the same, or else those of which it is a part.
func similarFlags(cmd *cobra.Command, name string) []string {
	plain := plainName(name)
	var known, near, partly []string
	var candidates cobra.Command
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden:
		case slices.Contains(flagsElsewhere[plain], f.Name):
			known = append(known, "--"+f.Name)
		case plainName(f.Name) == plain:
			near = append(near, "--"+f.Name)
		case isPartOf(f.Name, strings.ToLower(name)):
			partly = append(partly, "--"+f.Name)
		}
		// Cobra compares names of commands only, so the flags take their place.
		candidates.AddCommand(&cobra.Command{Use: "--" + f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if len(known)+len(near) > 0 {
		return append(near, known...)
	}
	if spelt := nearest(&candidates, "--"+strings.ToLower(name)); len(spelt) > 0 {
		return spelt
	}
	return partly
}

// plainName is a flag's name without what people write in different ways.
func plainName(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// isPartOf reports whether a name is a whole word of a flag's name, or one of the two
// begins with the other.
func isPartOf(flag, name string) bool {
	const least = 3 // letters that say something
	if len(name) < least || len(flag) < least {
		return false
	}
	return strings.HasPrefix(flag, name) || strings.HasPrefix(name, flag) ||
		slices.Contains(strings.Split(flag, "-"), name)
}
