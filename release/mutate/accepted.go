package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
)

// accepted are the survivors that somebody has looked at, and whether a run has met
// them. A line of the file is
//
//	FILE FUNCTION: FROM => TO -- REASON
//
// as a survivor is printed, without the place in the file. Empty lines and those that
// begin with # are left out.
type accepted map[string]bool

func readAccepted(file string) (accepted, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return accepted{}, nil
	}
	if err != nil {
		return nil, err
	}
	known := accepted{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		change, _, reasoned := strings.Cut(line, " -- ")
		if !reasoned || !strings.Contains(change, " => ") {
			return nil, fmt.Errorf("%s: %q is not FILE FUNCTION: FROM => TO -- REASON", file, line)
		}
		known[change] = false
	}
	return known, nil
}

func entry(m mutant) string { return m.file + " " + m.change() }

// take reports whether a survivor is accepted.
func (a accepted) take(m mutant) bool {
	if _, known := a[entry(m)]; !known {
		return false
	}
	a[entry(m)] = true
	return true
}

// unused are the lines about the files of these mutants that no survivor has met.
func (a accepted) unused(mutants []mutant) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line, met := range a {
			file, _, _ := strings.Cut(line, " ")
			of := func(m mutant) bool { return m.file == file }
			if !met && slices.ContainsFunc(mutants, of) && !yield(line) {
				return
			}
		}
	}
}
