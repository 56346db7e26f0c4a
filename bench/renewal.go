package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	renewalDelay    = 2 * time.Second         // of the endpoint while a token is due
	renewalLead     = 1200 * time.Millisecond // after which every library wants to renew
	renewalCallers  = 8
	renewalInterval = time.Millisecond // of one caller's calls
)

// waits is how callers fare while a valid token is due for renewal.
type waits struct {
	library       string
	calls, failed int
	p50, p99      time.Duration
	p999, slowest time.Duration
}

// dueSoon makes the token due after a second, in the way that a library
// understands, while it stays valid for much longer than is looked at.
func dueSoon(library string, e *endpoint) {
	switch library {
	case nameOurs:
		e.expiresIn, e.refreshIn = 3600, 1
	case nameMSAL, nameAzidentity: // renewed from five minutes before their end
		e.expiresIn = 301
	case nameOAuth2: // from ten seconds before
		e.expiresIn = 11
	}
}

// measureWaits looks at callers while the token is due and the endpoint slow or
// dead.
func measureWaits(cfg settings, id identity, trouble func(*endpoint)) ([]waits, error) {
	results := make([]waits, len(makers()))
	for i, m := range makers() {
		e := newEndpoint()
		dueSoon(m.library, e)
		get, done, err := m.make(e, id)
		if err != nil {
			return nil, err
		}
		if err := get(context.Background(), waitScope); err != nil {
			return nil, err
		}
		time.Sleep(renewalLead)
		trouble(e)
		results[i] = watch(get, cfg.window)
		results[i].library = m.library
		done()
	}
	return results, nil
}

const waitScope = "api://wait/.default"

func slowEndpoint(e *endpoint) { e.delay.Store(int64(renewalDelay)) }
func deadEndpoint(e *endpoint) { e.dead.Store(true) }

// watch calls for a while from several goroutines. A call that takes longer
// than the interval also counts for those that would have been made meanwhile:
// otherwise one that blocks for the whole time would be a single bad sample.
func watch(get acquire, window time.Duration) waits {
	ctx, cancel := context.WithTimeout(context.Background(), window)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var w waits
	var wg sync.WaitGroup
	end := time.Now().Add(window)
	for range renewalCallers {
		wg.Go(func() {
			own := make([]time.Duration, 0, int(window/renewalInterval)+16)
			made, failed := 0, 0
			for time.Now().Before(end) {
				start := time.Now()
				err := get(ctx, waitScope)
				took := time.Since(start)
				made++
				if err != nil {
					failed++
				}
				for t := took; ; t -= renewalInterval {
					own = append(own, t)
					if t <= renewalInterval {
						break
					}
				}
				time.Sleep(renewalInterval)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			w.failed += failed
			w.calls += made
		})
	}
	wg.Wait()
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	w.p50, w.p99, w.p999, w.slowest = at(0.5), at(0.99), at(0.999), all[len(all)-1]
	return w
}

// waitsChecks hold our own callers, the first of each, against what is promised of them.
func waitsChecks(slow, dead []waits) []check {
	return []check{
		atMost("renewal of 2 s: the callers' 99.9th percentile", micros(slow[0].p999), 50, " µs"),
		atMost("dead endpoint: the callers' 99.9th percentile", micros(dead[0].p999), 50, " µs"),
		atMost("errors in both", float64(slow[0].failed+dead[0].failed), 0, ""),
	}
}

// waitsTables are a table for the slow endpoint and one for the dead.
func waitsTables(line func(string, ...any), slow, dead []waits, window time.Duration) {
	line("## Callers while the token is due for renewal and valid")
	line("")
	waitsTable(line, fmt.Sprintf("the endpoint takes %v", renewalDelay), slow)
	line("")
	waitsTable(line, "the endpoint is dead", dead)
	line("")
	line(
		"%d callers, each once a millisecond, for %v. The token is valid for at least five seconds more, or for minutes; each library finds it due: ours by `refresh_in`, MSAL Go and azidentity five minutes before its end, x/oauth2 ten seconds before. A call that blocks counts also for those that would have been made meanwhile.",
		renewalCallers,
		window,
	)
}

func waitsTable(line func(string, ...any), what string, all []waits) {
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
