package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/bench/internal/machine"
	"github.com/certtoken/certtoken/bench/soak/internal/load"
)

// result is what a run, or its beginning, came to.
type result struct {
	cfg  config
	took time.Duration

	calls, failed, without, expired, missed int64
	waits, others                           load.Histogram
	firsts                                  []time.Duration // tokens of the workers, after their start
	outage                                  outage
	events, commands, troubles              map[string]int64
	broken                                  int64 // failed or expired, as the workers told at once
	first                                   string
	corrupted, rotations                    int64

	requests, granted, faults    int
	whole, strange, lost, handed int
	bad                          int
	wrong                        []string
	endless, keys                int

	usages [][]load.Usage // of the workers that lived through it
	own    load.Usage     // the coordinator's
	fates  error          // of workers that ended otherwise than they were told
}

func (f *fleet) result(took time.Duration) *result {
	r := &result{
		cfg: f.cfg, took: took,
		events: make(map[string]int64), commands: make(map[string]int64), troubles: f.troubles.all(),
		broken: f.broken.Load(), corrupted: f.corrupted.Load(), rotations: f.rotation.Count(),
		requests: f.server.Count(), granted: f.server.CountGranted(), faults: int(f.faults.Count()),
		own: load.ReadUsage(), outage: f.outage,
	}
	if first := f.first.Load(); first != nil {
		r.first = *first
	}
	r.whole, r.strange, r.lost, r.handed = f.ledger.counts()
	r.bad, r.wrong = f.ledger.blames()
	for _, p := range f.crew.all() {
		if figures, _, _ := p.state(); figures != nil {
			r.add(figures)
		}
	}
	for _, p := range f.crew.survivors() {
		_, usages, _ := p.state()
		r.usages = append(r.usages, usages)
	}
	return r
}

func (r *result) add(f *figures) {
	r.calls += f.Calls
	r.failed += f.Failed
	r.without += f.Without
	r.expired += f.Expired
	r.missed += f.Missed
	r.waits.Merge(f.Waits)
	r.others.Merge(f.Others)
	if f.First > 0 {
		r.firsts = append(r.firsts, f.First)
	}
	for name, n := range f.Events {
		r.events[name] += n
	}
	for name, n := range f.Redis {
		r.commands[name] += n
	}
}

// needed is how many tokens one process alone needs in that time for the scopes
// that are asked for all the time, while nothing fails.
func (r *result) needed() float64 {
	return load.Scopes * (1 + r.took.Seconds()/load.RefreshIn().Seconds())
}

// times is how often more were granted.
func (r *result) times() float64 { return float64(r.whole) / r.needed() }

// saved is the part of what sharing can save at best that was saved.
func (r *result) saved() float64 {
	n := float64(r.cfg.workers)
	return (n - r.times()) / (n - 1)
}

const (
	minSaved = 0.5 // of a fleet in trouble

	// maxWait is for one of a thousand callers who have a valid token: far more
	// than a busy machine makes of it, and less than any of the faults lasts.
	maxWait = 500 * time.Millisecond
)

// verdict is what was broken. Some of it can't be told from a start in a short
// run.
func (r *result) verdict() error {
	errs := []error{r.fates}
	check := func(held bool, format string, args ...any) {
		if !held {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(r.calls > 0, "nobody called")
	check(
		r.broken == 0,
		"%d calls failed although a valid token existed or got an expired one, the first: %s",
		r.broken,
		r.first,
	)
	check(r.bad == 0, "%d tokens aren't what the endpoint issued: %s", r.bad, strings.Join(r.wrong, "; "))
	check(
		r.granted == r.whole+r.strange+r.lost,
		"the endpoint issued %d tokens, the ledger has %d",
		r.granted,
		r.whole+r.strange+r.lost,
	)
	check(r.endless == 0, "%d keys in Redis never end", r.endless)
	if min(r.took, r.cfg.duration) < load.Settled { // short as planned, on a slow machine too
		return errors.Join(errs...)
	}
	check(
		r.waits.At(0.999) < maxWait,
		"one of a thousand callers waited %v or more although there was a valid token",
		r.waits.At(0.999),
	)
	check(
		r.cfg.alone || r.cfg.outage > 0 || r.saved() > minSaved,
		"the fleet hardly shares: %.2f times the tokens of one process",
		r.times(),
	)
	for number, usages := range r.usages {
		if err := load.Usages(usages).Grown(); err != nil {
			errs = append(errs, fmt.Errorf("worker %d: %w", number, err))
		}
	}
	return errors.Join(errs...)
}

// line is how it goes.
func (r *result) line(w io.Writer) {
	fmt.Fprintf(
		w,
		"%4.0f s  %d calls, %d failed or expired, %d without a valid token; waits 99.9 %% %v, most %v; %d requests, %d faults; %.2f times the tokens of one process; %d failures of the store\n",
		r.took.Seconds(),
		r.calls,
		r.broken,
		r.without,
		round(r.waits.At(0.999)),
		round(r.waits.At(1)),
		r.requests,
		r.faults,
		r.times(),
		r.events[eventStoreFailed],
	)
}

// print writes the figures as tables.
func (r *result) print(w io.Writer) {
	row := func(what, format string, args ...any) {
		fmt.Fprintf(w, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(
		w,
		"\n| %.0f s, %d processes with %d callers each, %d scopes |  |\n|---|---|\n",
		r.took.Seconds(),
		r.cfg.workers,
		r.cfg.callers,
		load.Scopes,
	)
	row("machine", "%s, %d cores, %s, %s", machine.Processor(), runtime.NumCPU(), runtime.GOOS, runtime.Version())
	row("calls", "%d", r.calls)
	row("failed although their process had a valid token", "%d", r.failed)
	row("expired tokens handed out", "%d", r.expired)
	row("tokens handed out that the endpoint didn't issue so", "%d of %d", r.bad, r.handed)
	row("failed while their process had no valid token", "%d", r.without)
	row("wait of a caller for whom there was a valid token", "%s", spread(&r.waits))
	row("callers whom the client had wait although there was a valid token", "%d", r.missed)
	row("wait of a caller for whom there was none", "%s", spread(&r.others))
	row("token requests", "%d, of which %d met a fault", r.requests, r.faults)
	row("tokens granted", "%d, and %d for scopes asked for once, and %d lost on their way", r.whole, r.strange, r.lost)
	row(
		"one process alone would need",
		"%.0f; the fleet took %.2f times that, unshared it would be %d",
		r.needed(),
		r.times(),
		r.cfg.workers,
	)
	if n := len(r.firsts); n > 0 {
		slices.Sort(r.firsts)
		row("first token of a process, after its start", "half within %v, the last after %v",
			round(r.firsts[n/2]), round(r.firsts[n-1]))
	}
	if r.cfg.outage > 0 {
		row("before Redis was gone", "%v", r.outage.before)
		row(fmt.Sprintf("while Redis was gone, %.0f s", r.outage.length.Seconds()), "%v", r.outage.during)
		row("after that", "%v", r.outage.after)
	} else {
		row("traffic", "%v", r.outage.before)
	}
	row("Redis commands", "%s", list(r.commands))
	row("keys in Redis at the end", "%d, of which %d without an end", r.keys, r.endless)
	row("trouble", "%s", list(r.troubles))
	row("entries corrupted", "%d", r.corrupted)
	row("certificates renewed on disk", "%d", r.rotations)
	row("seen by hooks", "%s", list(r.events))
	for number, usages := range r.usages {
		if len(usages) > 0 {
			u := load.Usages(usages)
			row(
				fmt.Sprintf("worker %d: first, middle and last third", number),
				"%v; %v; %v",
				u.Third(0),
				u.Third(1),
				u.Third(2),
			)
		}
	}
	row("coordinator at the end", "%v", r.own)
	fmt.Fprintln(w)
}

func spread(h *load.Histogram) string {
	return fmt.Sprintf(
		"p50 %v, p99 %v, p99.9 %v, most %v",
		round(h.At(0.5)),
		round(h.At(0.99)),
		round(h.At(0.999)),
		round(h.At(1)),
	)
}

// round leaves what the histogram knows: three digits at most.
func round(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// list is counts by name, the most first.
func list(counts map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}
