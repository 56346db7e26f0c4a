// Command mutate removes the guards of a package one by one and runs the tests of
// the package against each change. A change that no test notices survives, and is
// printed: either a test is missing, or the guard guards nothing.
//
//	go run ./release/mutate ./ext/keyvault
//	go run ./release/mutate -tests .,./internal/mtls -run 'TLS|Bound' ./internal/mtls
//
// See release/README.md for what is changed and what to do with a survivor.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

// settings are the flags.
type settings struct {
	dir      string   // of the package
	tests    []string // folders of the packages whose tests judge
	run      string
	files    string
	timeout  time.Duration
	workers  int
	accepted string
}

func main() {
	s := settings{}
	tests := flag.String(
		"tests",
		"",
		"folders of the packages whose tests judge, with commas; the package's own by default",
	)
	flag.StringVar(&s.run, "run", "", "as go test -run: which tests judge")
	flag.StringVar(&s.files, "files", "", "as path.Match: which files of the package are changed; all by default")
	flag.DurationVar(
		&s.timeout,
		"timeout",
		0,
		"of one run of the tests; by default 10 s and five times what they take unchanged",
	)
	flag.IntVar(&s.workers, "j", max(1, runtime.NumCPU()/2), "runs side by side")
	flag.StringVar(&s.accepted, "accepted", "release/mutate/accepted.txt", "list of the survivors that guard nothing")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutate [flags] FOLDER_OF_A_PACKAGE")
		os.Exit(2)
	}
	s.dir = flag.Arg(0)
	s.tests = []string{s.dir}
	if *tests != "" {
		s.tests = strings.Split(*tests, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	good, err := mutate(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !good {
		os.Exit(1)
	}
}

// mutate tries every change and prints the survivors. It reports whether all of
// them are accepted.
func mutate(ctx context.Context, s settings) (bool, error) {
	known, err := readAccepted(s.accepted)
	if err != nil {
		return false, err
	}
	mutants, err := packageMutants(ctx, s)
	if err != nil {
		return false, err
	}
	results, err := judge(ctx, s, mutants)
	if err != nil {
		return false, err
	}
	return report(os.Stdout, known, mutants, results), nil
}

// report prints the survivors that aren't accepted, and what is accepted without
// being a survivor. It reports whether there are none of both.
func report(out io.Writer, known accepted, mutants []mutant, results []verdict) bool {
	count := map[verdict]int{}
	left, taken, stale := 0, 0, 0
	for i, m := range mutants {
		count[results[i]]++
		switch {
		case results[i] != survived && results[i] != uncovered:
		case known.take(m):
			taken++
		default:
			left++
			fmt.Fprintln(out, m)
		}
	}
	for line := range known.unused(mutants) {
		stale++
		fmt.Fprintln(out, "accepted, but killed or gone:", line)
	}
	fmt.Fprintf(out, "%d changes: %d killed, %d survived, %d not covered by a test, %d don't compile; "+
		"%d survivors accepted, %d to look at\n",
		len(mutants), count[killed], count[survived], count[uncovered], count[broken], taken, left)
	return left+stale == 0
}
