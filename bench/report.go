package main

import (
	"fmt"
	"runtime"
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

func (r *results) checks() []check {
	one, paral := r.hits.one, r.hits.oneParal
	list := []check{
		atMost(
			"hit through a TokenSource : `oauth2.ReuseTokenSource`, serial",
			one[subjectHandle].over(one[nameOAuth2]),
			0.6,
			" ×",
		),
		atMost("the same, parallel", paral[subjectHandle].over(paral[nameOAuth2]), 0.3, " ×"),
		atMost(
			"hit by `Client.Token`, one scope : `oauth2.ReuseTokenSource`",
			one[nameOurs].over(one[nameOAuth2]),
			1.2,
			" ×",
		),
		atLeast("MSAL Go's hit : ours, one token", one[nameMSAL].over(one[nameOurs]), 15, " ×"),
	}
	if at := r.hits.bySize[10_000]; at[nameMSAL] != nil {
		list = append(list, atLeast("MSAL Go's hit : ours, 10,000 tokens", at[nameMSAL].over(at[nameOurs]), 1000, " ×"))
	}
	for _, size := range r.cfg.sizes {
		if size != 10 && size != 100 {
			at := r.hits.bySize[size]
			list = append(
				list,
				atMost(
					fmt.Sprintf("ours : an RWMutex map with `time.Now`, %s", tokens(size)),
					at[nameOurs].over(at[nameMap]),
					1.1,
					" ×",
				),
			)
		}
	}
	most := 0.0
	for _, name := range []string{nameOurs, subjectHandle, subjectSeveral} {
		most = max(most, r.hits.allocs[name])
	}
	list = append(
		list,
		atMost("three scopes in any order : one scope", one[subjectSeveral].over(one[nameOurs]), 2, " ×"),
		atMost("allocations of a hit, by `Token`, TokenSource, several scopes", most, 0, ""),
		atMost("goroutines of a client with cached tokens", float64(r.hits.routines), 0, ""),
		atMost(
			"assertion without its signature : golang-jwt's `SignedString` with HS256",
			r.signing[subjectAssertion].over(r.signing[subjectHS256]),
			1,
			" ×",
		),
		atMost(
			"cold exchange : a POST by hand with one signature",
			r.cold[nameOurs].over(r.cold[subjectHand]),
			1.1,
			" ×",
		),
	)
	if f := r.filling[0].at; f[10_000] != nil {
		list = append(
			list,
			atMost(
				"filling: the 10,000th token : the 1,000th (the same, within 15 %)",
				f[10_000].over(f[1_000]),
				1.15,
				" ×",
			),
		)
	}
	rush, scopes, slow, dead := r.rush[0], r.scopes[0], r.slow[0], r.dead[0]
	list = append(
		list,
		check{
			fmt.Sprintf("%d callers of a cold key", rushCallers),
			fmt.Sprintf("%d request, %d failed", rush.requests, rush.failed),
			"1 request",
			rush.requests == 1 && rush.failed == 0,
			false,
		},
		atMost(
			fmt.Sprintf("%d cold scopes, endpoint takes %v (about that)", coldScopes, coldDelay),
			scopes.wall.Seconds()*1000,
			coldDelay.Seconds()*1000*1.25,
			" ms",
		),
		atMost("renewal of 2 s: the callers' 99.9th percentile", micros(slow.p999), 50, " µs"),
		atMost("dead endpoint: the callers' 99.9th percentile", micros(dead.p999), 50, " µs"),
		atMost("errors in both", float64(slow.failed+dead.failed), 0, ""),
	)
	for _, m := range r.memory {
		if m.library == nameOurs {
			list = append(list, atMost("bytes for a cached token of 1,536", m.bytes, tokenSize+400, ""))
		}
	}
	list = append(list, scaleChecks(r.scale)...)
	list = append(list, r.userBytes.checks()...)
	list = append(list, r.steps.checks()...)
	list = append(list, r.fleet.checks()...)
	list = append(list, coldStartChecks(r.starts)...)
	list = append(list, renewalsChecks(r.renewals)...)
	return append(list, coldRushChecks(r.coldRush)...)
}

// markdown is results.md.
func (r *results) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

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
	line("## What was to be shown")
	line("")
	checkTable(line, r.checks(), r.disturbed)
	if omitted := *r.cfg.budget.omitted; len(omitted) > 0 {
		line("")
		line("Not measured, because the run had a limit of its time: %s.", strings.Join(omitted, "; "))
	}
	line("")
	line("## A cached token")
	line("")
	line("| one token in the cache | serial | parallel | allocations |")
	line("|---|---|---|---|")
	for _, name := range []string{nameOurs, subjectHandle, subjectSeveral, nameOAuth2, nameMSAL, nameAzidentity, nameMap, subjectClock} {
		line(
			"| %s | %s | %s | %.0f |",
			label(name),
			cell(r.hits.one[name]),
			cell(r.hits.oneParal[name]),
			r.hits.allocs[name],
		)
	}
	line("")
	line(
		"Parallel is %d callers at once, wall time for one call. The bare clock, which shares nothing, ran %s × as fast in parallel: so much of the processor was there for it.",
		runtime.GOMAXPROCS(0),
		number(r.hits.one[subjectClock].over(r.hits.oneParal[subjectClock])),
	)
	line("")
	line("Any of n tokens, in no order, serial:")
	line("")
	r.growth(line, r.hits.bySize)
	line("")
	line("The same, parallel:")
	line("")
	r.growth(line, r.hits.bySizePl)
	line("")
	line(
		"`map` is a map of tokens under an RWMutex, and a look at `time.Now`: what a lookup costs that does nothing else. More than %s in MSAL Go and azidentity is not measured: each looks through a list, and so does every token that is added. x/oauth2 holds one token.",
		tokens(r.cfg.peers),
	)
	line("")
	r.scaleTables(line)
	line("## Filling and memory")
	line("")
	line("| | one more token at 1,000 | at 10,000 | heap for a cached token of %s bytes |", thousands(tokenSize))
	line("|---|---|---|---|")
	for _, f := range r.filling {
		line("| %s | %s | %s | %s |", f.library, cell(f.at[1_000]), cell(f.at[10_000]), r.bytes(f.library))
	}
	line("| %s | | | %s |", label(nameMap), r.bytes(nameMap))
	line("")
	line(
		"Without signature and connection, by scopes; memory of ours and the map's with %s, of the others' with %s.",
		tokens(r.memory[0].tokens),
		tokens(r.memory[1].tokens),
	)
	line("")
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
	coldStartTable(line, r.starts)
	pfxTable(line, r.pfx)
	line("## Many callers")
	line("")
	line(
		"| %s callers of one cold key, endpoint takes %v | requests | slowest caller | failed |",
		thousands(rushCallers),
		rushDelay,
	)
	line("|---|---|---|---|")
	for _, x := range r.rush {
		line("| %s | %s | %s | %d |", label(x.library), thousands(x.requests), duration(x.slowest), x.failed)
	}
	line("")
	line("| %d cold scopes at once, endpoint takes %v | until all are there |", coldScopes, coldDelay)
	line("|---|---|")
	for _, x := range r.scopes {
		line("| %s | %s |", x.library, duration(x.wall))
	}
	line("")
	coldRushTables(line, r.coldRush)
	line("")
	r.fleet.print(line)
	renewalsTable(line, r.renewals)
	line("## Callers while the token is due for renewal and valid")
	line("")
	r.waiting(line, fmt.Sprintf("the endpoint takes %v", renewalDelay), r.slow)
	line("")
	r.waiting(line, "the endpoint is dead", r.dead)
	line("")
	line(
		"%d callers, each once a millisecond, for %v. The token is valid for at least five seconds more, or for minutes; each library finds it due: ours by `refresh_in`, MSAL Go and azidentity five minutes before its end, x/oauth2 ten seconds before. A call that blocks counts also for those that would have been made meanwhile.",
		renewalCallers,
		r.cfg.window,
	)
	return b.String()
}

func (r *results) growth(line func(string, ...any), by map[int]map[string]samples) {
	head, rule := "| |", "|---|"
	for _, size := range r.cfg.sizes {
		head += " " + thousands(int64(size)) + " |"
		rule += "---|"
	}
	line("%s", head)
	line("%s", rule)
	for _, name := range []string{nameOurs, nameMap, nameMSAL, nameAzidentity} {
		row := "| " + label(name) + " |"
		for _, size := range r.cfg.sizes {
			row += " " + cell(by[size][name]) + " |"
		}
		line("%s", row)
	}
}

func (r *results) waiting(line func(string, ...any), what string, all []waits) {
	line("| %s | median | 99 %% | 99.9 %% | slowest | failed |", what)
	line("|---|---|---|---|---|---|")
	for _, w := range all {
		line(
			"| %s | %s | %s | %s | %s | %s of %s |",
			label(w.library),
			duration(w.p50),
			duration(w.p99),
			duration(w.p999),
			duration(w.slowest),
			thousands(int64(w.failed)),
			thousands(int64(w.calls)),
		)
	}
}

func (r *results) bytes(library string) string {
	for _, m := range r.memory {
		if m.library == library {
			return thousands(int64(m.bytes + 0.5))
		}
	}
	return notMeasured
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
