package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// block is a stretch of a file that tests have run, or have not.
type block struct {
	fromLine, fromCol, toLine, toCol int
	ran                              bool
}

// coverage has the blocks of each file, by its name.
type coverage map[string][]block

// read adds a profile that go test -coverprofile has written.
func (c coverage) read(profile string) error {
	data, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		file, rest, _ := strings.Cut(line, ":")
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d",
			&b.fromLine, &b.fromCol, &b.toLine, &b.toCol, &statements, &count); err != nil {
			return fmt.Errorf("%s: %q: %w", profile, line, err)
		}
		b.ran = count > 0
		c[path.Base(file)] = append(c[path.Base(file)], b)
	}
	return nil
}

// has reports whether a test runs the mutant. What is in no block, as constants are,
// counts as run.
func (c coverage) has(m mutant) bool {
	inBlock := false
	for _, b := range c[filepath.Base(m.path)] {
		after := m.line > b.fromLine || m.line == b.fromLine && m.col >= b.fromCol
		before := m.line < b.toLine || m.line == b.toLine && m.col < b.toCol
		if after && before {
			if b.ran {
				return true
			}
			inBlock = true
		}
	}
	return !inBlock
}
