package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// summaryHead begins the table in docs/performance.md that is written anew.
const summaryHead = "| measured by `go run ./bench`"

// writeSummary puts the figures of this run into a file that has such a table. That there
// is no file is no error: the results may be written elsewhere.
func (r *results) writeSummary(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), summaryHead)
	_, after, ends := strings.Cut(rest, "\n\n")
	if !found || !ends {
		return fmt.Errorf("%s has no table that begins with %q", file, summaryHead)
	}
	return os.WriteFile(file, []byte(before+r.summaryTable()+"\n"+after), 0o644)
}

// summaryTable is what a reader is told first.
func (r *results) summaryTable() string {
	var b strings.Builder
	peers := []string{nameOurs, nameMSAL, nameAzidentity}
	row := func(what string, of func(library string, at int) string) {
		fmt.Fprintf(&b, "| %s |", what)
		for at, library := range peers {
			fmt.Fprintf(&b, " %s |", of(library, at))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(
		&b,
		"%s ([all of it](../bench/results.md)) | certtoken | MSAL Go | azidentity |\n|---|---|---|---|\n",
		summaryHead,
	)
	row("a cached token, one in the cache", func(library string, at int) string {
		unit := ""
		if at == 0 {
			unit = " allocations"
		}
		return fmt.Sprintf("%s, %.0f%s", cell(r.hits.one[library]), r.hits.allocs[library], unit)
	})
	row(thousands(rushCallers)+" callers of a cold key: requests", func(library string, _ int) string {
		return thousands(rushOf(r.rush, library).requests)
	})
	row(fmt.Sprintf("%d cold scopes, endpoint takes %d ms", coldScopes, coldDelay.Milliseconds()),
		func(library string, _ int) string { return duration(rushOf(r.scopes, library).wall) })
	row(fmt.Sprintf("99.9 %% of the callers while a renewal takes %d s: within", int(renewalDelay.Seconds())),
		func(library string, _ int) string { return duration(waitsOf(r.slow, library).p999) })
	row("failed calls while the endpoint is dead and the token valid", func(library string, _ int) string {
		w := waitsOf(r.dead, library)
		return thousands(int64(w.failed)) + " of " + thousands(int64(w.calls))
	})
	return b.String()
}

func rushOf(all []rush, library string) rush {
	for _, r := range all {
		if r.library == library {
			return r
		}
	}
	return rush{}
}

func waitsOf(all []waits, library string) waits {
	for _, w := range all {
		if w.library == library {
			return w
		}
	}
	return waits{}
}
