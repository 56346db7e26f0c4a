package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fleetResult is what the program in soak/fleet printed: a table, and whether its
// invariants held.
type fleetResult struct {
	table   string
	problem string
	took    fleetTime
}

func measureFleet(cfg settings, bench string) (fleetResult, error) {
	r := fleetResult{took: cfg.fleet}
	if !cfg.budget.allows("a fleet and one Redis", cfg.fleet.all+20*time.Second) {
		return fleetResult{}, nil
	}
	dir, err := os.MkdirTemp("", "certtoken-bench")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "fleet")
	if out, err := exec.Command("go", "build", "-C", bench, "-o", program, "./soak/fleet").CombinedOutput(); err != nil {
		return r, fmt.Errorf("%w: %s", err, out)
	}
	cmd := exec.Command(program, "-workers", fmt.Sprint(cfg.fleet.processes), "-callers", "1", "-faults", "0",
		"-strangers", "0", "-duration", cfg.fleet.all.String(), "-life", (cfg.fleet.all / 3).String(),
		"-outage", cfg.fleet.outage.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.problem = strings.TrimSpace(stderr.String())
	}
	for text := range strings.Lines(string(out)) {
		if strings.HasPrefix(text, "|") && !strings.HasPrefix(text, "| worker ") {
			r.table += text
		}
	}
	if r.table == "" {
		return r, fmt.Errorf("it printed no table: %s", r.problem)
	}
	return r, nil
}

func (r fleetResult) checks() []check {
	if r.table == "" {
		return nil
	}
	return []check{{
		what: "a fleet of " + fmt.Sprint(
			r.took.processes,
		) + " processes, Redis gone meanwhile: its invariants", wanted: "hold",
		is: map[bool]string{true: "hold", false: "broken: " + r.problem}[r.problem == ""], met: r.problem == "",
	}}
}

func (r fleetResult) print(line func(string, ...any)) {
	if r.table == "" {
		return
	}
	line("## A fleet and one Redis")
	line("")
	line("%s", r.table)
	line(
		"`go run ./soak/fleet` with %d processes, tokens of %v, and Redis gone for %v; see [soak](soak/README.md). No other "+
			"trouble is made, but the certificate is renewed on disk.",
		r.took.processes,
		r.took.all/3,
		r.took.outage,
	)
	line("")
}
