// Command bench measures certtoken beside MSAL Go, azidentity and x/oauth2, in
// one run, with one token endpoint:
//
//	go run ./bench          # from the repository's root, about six minutes
//	go run ./bench -quick   # about a minute, coarser, and nothing is written
//	go run ./bench -rush    # only the rush on cold keys, and nothing is written
//
// It prints the table, holds it against the figures that the library promises,
// and writes results.md and growth.svg. It is no test: what else the machine
// does moves its figures.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if childMain() {
		return
	}
	fast := flag.Bool("quick", false, "about a minute: fewer rounds, smaller caches, no files")
	dir := flag.String("dir", defaultDir(), "write results.md and growth.svg into this folder")
	only := flag.Bool("rush", false, "only the rush on cold keys, no files")
	flag.Parse()
	do := func() error { return run(*fast, *dir) }
	if *only {
		do = func() error { return runColdRush(*fast) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// defaultDir is this module's folder, seen from the repository's root or from
// within.
func defaultDir() string {
	if _, err := os.Stat(filepath.Join("bench", "go.mod")); err == nil {
		return "bench"
	}
	return "."
}

func settingsFor(fast bool) settings {
	if fast {
		return quick
	}
	return thorough
}

func progress(what string) { fmt.Fprintln(os.Stderr, "measuring", what) }

func runColdRush(fast bool) error {
	all, err := measureColdRush(settingsFor(fast), progress)
	if err != nil {
		return err
	}
	for _, c := range coldRushChecks(all) {
		fmt.Printf("| %s | %s | %s | %s |\n", c.what, c.is, c.wanted, verdict(c.met))
	}
	fmt.Println()
	coldRushTables(func(format string, args ...any) { fmt.Printf(format+"\n", args...) }, all)
	return nil
}

func run(fast bool, dir string) error {
	r, err := measure(settingsFor(fast), progress)
	if err != nil {
		return err
	}
	text := r.markdown()
	fmt.Println(text)
	missed := 0
	for _, c := range r.checks() {
		if !c.met {
			missed++
		}
	}
	fmt.Printf("%d of %d met\n", len(r.checks())-missed, len(r.checks()))
	if fast {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "results.md"), []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "growth.svg"), []byte(r.plot()), 0o644)
}

func measure(cfg settings, progress func(string)) (*results, error) {
	r := &results{cfg: cfg, started: time.Now(), versions: libraryVersions()}
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"", func() (err error) { r.hits, err = measureHits(cfg, id, progress); return }},
		{"signing", func() error { r.signing = measureSigning(cfg, id); return nil }},
		{"cold exchanges", func() (err error) { r.cold, err = measureCold(cfg, id); return }},
		{"filling", func() (err error) { r.filling, err = measureFilling(cfg, id); return }},
		{"memory", func() (err error) { r.memory, err = measureMemory(cfg, id); return }},
		{"a rush on a cold key", func() (err error) { r.rush, err = measureRush(id); return }},
		{"a rush on many cold keys", func() (err error) { r.coldRush, err = measureColdRush(cfg, progress); return }},
		{"ten cold scopes", func() (err error) { r.scopes, err = measureScopes(id); return }},
		{
			"callers during a slow renewal",
			func() (err error) { r.slow, err = measureWaits(cfg, id, slowEndpoint); return },
		},
		{
			"callers while the endpoint is dead",
			func() (err error) { r.dead, err = measureWaits(cfg, id, deadEndpoint); return },
		},
	}
	for _, step := range steps {
		if step.what != "" {
			progress(step.what)
		}
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	r.took = time.Since(r.started)
	return r, nil
}
