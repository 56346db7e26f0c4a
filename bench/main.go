// Command bench measures certtoken beside MSAL Go, azidentity and x/oauth2, in
// one run, with one token endpoint:
//
//	go run ./bench              # from the repository's root, about a quarter of an hour
//	go run ./bench -budget 14m  # leaves out what would take longer, and says what
//	go run ./bench -quick       # some minutes, coarser, and nothing is written
//	go run ./bench -rush        # only the rush on cold keys, and nothing is written
//	go run ./bench -coldstart   # only programs from their start to their token
//	go run ./bench -renewals    # only very many tokens that are due together
//	go run ./bench -scale       # only hits among many scopes, tenants, users and so on
//	go run ./bench -fleet       # only processes that share a Redis, which is gone for a while
//
// It prints the table, holds it against the figures that the library promises,
// and writes results.md, growth.svg and the table of docs/performance.md.
// It is no test: what else the machine does moves its figures.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	if childMain() {
		return
	}
	fast := flag.Bool("quick", false, "some minutes: fewer rounds, smaller caches")
	dir := flag.String("dir", "", "write results.md and growth.svg into this folder, and the table of "+
		"../docs/performance.md if it is there; without it the folder of this program, or none with -quick")
	limit := flag.Duration("budget", 0, "leave out what would take longer than this in all; 0: nothing")
	only := make([]*bool, len(parts))
	for i, p := range parts {
		only[i] = flag.Bool(p.flag, false, p.about+", no files")
	}
	flag.Parse()
	cfg := settingsFor(*fast)
	cfg.budget = newBudget(*limit)
	if *dir == "" && !*fast {
		*dir = defaultDir()
	}
	do := func() error { return run(cfg, *dir) }
	for i, p := range parts {
		if *only[i] {
			do = func() error { return runPart(cfg, p) }
		}
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

func progress(what string) { fmt.Fprintln(os.Stderr, "measuring", what) }

// part is a part of the run that can be asked for alone.
type part struct {
	flag, about string
	run         func(cfg settings, r *results) error
	checks      func(r *results) []check
	tables      func(r *results, line func(string, ...any))
}

var parts = []part{
	{
		"rush", "only the rush on cold keys",
		func(cfg settings, r *results) (err error) {
			r.coldRush, err = measureColdRush(cfg, progress, append(rushRows(cfg, false), rushRows(cfg, true)...))
			slices.SortFunc(r.coldRush, byTable)
			return err
		},
		func(r *results) []check { return coldRushChecks(r.coldRush) },
		func(r *results, line func(string, ...any)) { coldRushTables(line, r.coldRush) },
	},
	{
		"coldstart", "only programs from their start to their token",
		func(cfg settings, r *results) error {
			id, err := newIdentity()
			if err == nil {
				r.starts, err = measureColdStart(cfg, id, defaultDir())
			}
			if err == nil {
				r.pfx, err = measurePFX(cfg, id)
			}
			return err
		},
		func(r *results) []check { return coldStartChecks(r.starts) },
		func(r *results, line func(string, ...any)) {
			coldStartTable(line, r.starts)
			pfxTable(line, r.pfx)
		},
	},
	{
		"renewals", "only very many tokens that are due together",
		func(cfg settings, r *results) error {
			id, err := newIdentity()
			if err == nil {
				r.renewals, err = measureRenewals(cfg, id)
			}
			return err
		},
		func(r *results) []check { return renewalsChecks(r.renewals) },
		func(r *results, line func(string, ...any)) { renewalsTable(line, r.renewals) },
	},
	{
		"scale", "only hits among many scopes, tenants, users and so on",
		func(cfg settings, r *results) error {
			id, err := newIdentity()
			if err == nil {
				r.agents, err = measureAgents(cfg, id)
			}
			if err == nil {
				r.scale, err = measureScale(cfg, id, progress)
			}
			if err == nil {
				progress("the table's slowest step")
				r.steps, err = measureTableSteps(cfg, defaultDir())
			}
			return err
		},
		func(r *results) []check { return append(scaleChecks(r.scale), r.steps.checks()...) },
		func(r *results, line func(string, ...any)) { r.scaleTables(line) },
	},
	{
		"fleet", "only processes that share a Redis, which is gone for a while",
		func(cfg settings, r *results) (err error) {
			r.fleet, err = measureFleet(cfg, defaultDir())
			return err
		},
		func(r *results) []check { return r.fleet.checks() },
		func(r *results, line func(string, ...any)) { r.fleet.print(line) },
	},
}

// runPart measures a part and prints its tables.
func runPart(cfg settings, p part) error {
	cfg.disturbed = new(disturbance)
	r := &results{cfg: cfg, disturbed: cfg.disturbed}
	cfg.disturbed.probe()
	if err := p.run(cfg, r); err != nil {
		return err
	}
	cfg.disturbed.probe()
	line := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	checkTable(line, p.checks(r), r.disturbed)
	line("")
	p.tables(r, line)
	return nil
}

func run(cfg settings, dir string) error {
	r, err := measure(cfg, progress)
	if err != nil {
		return err
	}
	text := r.markdown()
	fmt.Println(text)
	count := make(map[string]int)
	for _, c := range r.checks() {
		count[verdict(c, r.disturbed.busy())]++
	}
	for what, n := range count {
		fmt.Printf("%d of %d: %s\n", n, len(r.checks()), what)
	}
	if dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "results.md"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "growth.svg"), []byte(r.plot()), 0o644); err != nil {
		return err
	}
	return r.writeSummary(filepath.Join(dir, "..", "docs", "performance.md"))
}

func measure(cfg settings, progress func(string)) (*results, error) {
	cfg.disturbed = new(disturbance)
	r := &results{cfg: cfg, started: time.Now(), versions: libraryVersions(), disturbed: cfg.disturbed}
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	rush := func(rows []rushRow) error {
		measured, err := measureColdRush(cfg, progress, rows)
		r.coldRush = append(r.coldRush, measured...)
		slices.SortFunc(r.coldRush, byTable)
		return err
	}
	bench := defaultDir()
	steps := []struct {
		what string
		do   func() error
	}{
		{"", func() (err error) { r.hits, err = measureHits(cfg, id, progress); return }},
		{"signing", func() error { r.signing = measureSigning(cfg, id); return nil }},
		{"cold exchanges", func() (err error) { r.cold, err = measureCold(cfg, id); return }},
		{"programs from their start", func() (err error) { r.starts, err = measureColdStart(cfg, id, bench); return }},
		{"PFX files", func() (err error) { r.pfx, err = measurePFX(cfg, id); return }},
		{"filling", func() (err error) { r.filling, err = measureFilling(cfg, id, r.hits.fills); return }},
		{"memory", func() (err error) { r.memory, err = measureMemory(cfg, id); return }},
		{"a rush on a cold key", func() (err error) { r.rush, err = measureRush(id); return }},
		{"ten cold scopes", func() (err error) { r.scopes, err = measureScopes(id); return }},
		{
			"callers during a slow renewal",
			func() (err error) { r.slow, err = measureWaits(cfg, id, slowEndpoint); return },
		},
		{
			"callers while the endpoint is dead",
			func() (err error) { r.dead, err = measureWaits(cfg, id, deadEndpoint); return },
		},
		{"very many renewals", func() (err error) { r.renewals, err = measureRenewals(cfg, id); return }},
		{"users with very large tokens", func() (err error) { r.userBytes, err = measureUserBytes(cfg, id); return }},
		{"agents", func() (err error) { r.agents, err = measureAgents(cfg, id); return }},
		{"a rush on many cold keys", func() error { return rush(rushRows(cfg, false)) }},
		{"a fleet", func() (err error) { r.fleet, err = measureFleet(cfg, bench); return }},
		{"the table's slowest step", func() (err error) { r.steps, err = measureTableSteps(cfg, bench); return }},
		{"", func() (err error) { r.scale, err = measureScale(cfg, id, progress); return }},
		{"a rush on many cold keys, the others", func() error { return rush(rushRows(cfg, true)) }},
	}
	for _, step := range steps {
		if step.what != "" {
			progress(step.what)
		}
		cfg.disturbed.probe()
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	r.took = time.Since(r.started)
	return r, nil
}
