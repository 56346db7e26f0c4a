package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/bench/internal/machine"
)

// results are everything that a run measured.
type results struct {
	cfg       settings
	started   time.Time
	took      time.Duration
	hits      hitResults
	signing   map[string]samples
	cold      map[string]samples
	filling   []filling
	memory    []memory
	rush      []rush
	scopes    []rush
	scale     []scaled
	agents    agents
	userBytes userBytes
	steps     tableSteps
	fleet     fleetResult
	starts    []coldStart
	renewals  []renewals
	pfx       map[int]samples // by rounds
	disturbed *disturbance
	coldRush  []coldRush
	slow      []waits
	dead      []waits
	versions  map[string]string
}

// checks are those of all parts.
func (r *results) checks() []check {
	return slices.Concat(
		hitChecks(r.hits, r.cfg.sizes),
		signingChecks(r.signing),
		coldChecks(r.cold),
		fillingChecks(r.filling),
		rushChecks(r.rush, r.scopes),
		waitsChecks(r.slow, r.dead),
		memoryChecks(r.memory),
		scaleChecks(r.scale),
		r.userBytes.checks(),
		r.steps.checks(),
		r.fleet.checks(),
		coldStartChecks(r.starts),
		renewalsChecks(r.renewals),
		coldRushChecks(r.coldRush),
	)
}

// markdown is results.md.
func (r *results) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	r.introduction(line)
	r.shown(line)
	hitTables(line, r.hits, r.cfg.sizes, r.cfg.peers)
	r.scaleTables(line)
	r.fillingTable(line)
	r.coldTable(line)
	coldStartTable(line, r.starts)
	pfxTable(line, r.pfx)
	rushTables(line, r.rush, r.scopes)
	coldRushTables(line, r.coldRush)
	line("")
	r.fleet.print(line)
	renewalsTable(line, r.renewals)
	waitsTables(line, r.slow, r.dead, r.cfg.window)
	return b.String()
}

// introduction says when, with what and how it was measured.
func (r *results) introduction(line func(string, ...any)) {
	line("# Measured")
	line("")
	line(
		"Written by `go run ./bench`, and the table in [docs/performance.md](../docs/performance.md#beside-msal-go-and-azidentity) too. %s, %d cores, %s, %s/%s, %s; %s, and the run took %v. Every figure is the median of %d rounds in which all libraries take turns of 1.5 ms, and of each round's measurements the fastest counts; a ratio is the median of the rounds' ratios. What is measured serially is the thread's time on the processor. The token endpoint is in the process, without connection and latency, and the same for all, but for [the rush](#a-rush-on-many-cold-keys). Absolute figures move from machine to machine and with what else it does; ratios and laws of growth hardly.",
		machine.Processor(),
		runtime.GOMAXPROCS(0),
		runtime.Version(),
		runtime.GOOS,
		runtime.GOARCH,
		r.started.UTC().Format("2 January 2006"),
		versionList(r.versions),
		r.took.Round(time.Second),
		r.cfg.rounds,
	)
	line("")
}

// shown is the table of all checks, and what there was no time for.
func (r *results) shown(line func(string, ...any)) {
	line("## What was to be shown")
	line("")
	checkTable(line, r.checks(), r.disturbed)
	if omitted := *r.cfg.budget.omitted; len(omitted) > 0 {
		line("")
		line("Not measured, because the run had a limit of its time: %s.", strings.Join(omitted, "; "))
	}
	line("")
}

// scaleTables are those of hits and of filling with many tokens.
func (r *results) scaleTables(line func(string, ...any)) {
	line("## Many scopes, tenants, users, agents and parameters")
	line("")
	scaleHitTable(line, r.scale)
	r.agents.table(line)
	scaleFillTable(line, r.scale)
	r.steps.table(line)
}

// fillingTable is what one more token costs, in time and of the heap.
func (r *results) fillingTable(line func(string, ...any)) {
	line("## Filling and memory")
	line("")
	line("| | one more token at 1,000 | at 10,000 | heap for a cached token of %s bytes |", thousands(tokenSize))
	line("|---|---|---|---|")
	for _, f := range r.filling {
		line("| %s | %s | %s | %s |", f.library, cell(f.at[1_000]), cell(f.at[10_000]), heapOf(f.library, r.memory))
	}
	line("| %s | | | %s |", label(nameMap), heapOf(nameMap, r.memory))
	line("")
	line(
		"Without signature and connection, by scopes; memory of ours and the map's with %s, of the others' with %s.",
		tokens(r.memory[0].tokens),
		tokens(r.memory[1].tokens),
	)
	line("")
}

// coldTable is what a cold exchange costs, and the signature in it.
func (r *results) coldTable(line func(string, ...any)) {
	line("## A token that isn't cached")
	line("")
	line("| | time |")
	line("|---|---|")
	for _, name := range []string{nameOurs, nameMSAL, nameAzidentity, nameOAuth2, subjectHand} {
		line("| cold exchange, %s | %s |", label(name), cell(r.cold[name]))
	}
	for _, name := range []string{subjectAssertion, subjectHS256, subjectSigned, subjectRS256, subjectPS256} {
		line("| %s | %s |", name, cell(r.signing[name]))
	}
	line("")
}
