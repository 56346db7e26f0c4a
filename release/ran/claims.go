package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const module = "github.com/certtoken/certtoken"

// namedTest is how SECURITY.md names a test: in backquotes, then its folder in
// brackets, unless that is the root.
var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`(?:\\s\\(([a-z0-9/]+)\\))?")

// claims checks that the tests which a document names passed in one run at least.
func claims(out io.Writer, record, document string, args []string) error {
	if leavesOut(args) {
		fmt.Fprintf(
			out,
			"not checked: whether the tests that %s names ran (-%s)\n",
			document,
			strings.Join(leaveOut, ", -"),
		)
		return nil
	}
	named, err := namedTests(document)
	if err != nil {
		return err
	}
	if len(named) == 0 {
		return fmt.Errorf("%s names no test", document)
	}
	ended, err := readRecord(record)
	if err != nil {
		return err
	}
	var missing, skipped []string
	for _, name := range named {
		switch {
		case ended["pass "+name]:
		case ended["skip "+name]:
			skipped = append(skipped, name)
		default:
			missing = append(missing, name)
		}
	}
	if len(skipped) > 0 && os.Getenv("CI") == "true" {
		missing, skipped = append(missing, skipped...), nil
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s names tests that didn't pass:\n\t%s", document, strings.Join(missing, "\n\t"))
	}
	fmt.Fprintf(out, "%d of the %d tests that %s names passed\n", len(named)-len(skipped), len(named), document)
	for _, name := range skipped {
		fmt.Fprintf(out, "\tskipped: %s\n", name)
	}
	return nil
}

// namedTests are the tests that a document names, each as its package and its name.
func namedTests(document string) ([]string, error) {
	data, err := os.ReadFile(document)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, m := range namedTest.FindAllStringSubmatch(string(data), -1) {
		names[path.Join(module, m[2])+" "+m[1]] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// readRecord returns the lines that the runs have written.
func readRecord(record string) (map[string]bool, error) {
	f, err := os.Open(record)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ended := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		ended[lines.Text()] = true
	}
	return ended, lines.Err()
}
