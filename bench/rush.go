package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// rush is what many callers at once make of a cold cache.
type rush struct {
	library  string
	requests int64
	wall     time.Duration
	slowest  time.Duration
	failed   int
}

const (
	rushCallers = 1000
	rushDelay   = 200 * time.Millisecond
	coldScopes  = 10
	coldDelay   = 300 * time.Millisecond
)

func measureRush(id identity) ([]rush, error) {
	var results []rush
	for _, m := range makers() {
		e := newEndpoint()
		get, done, err := m.make(e, id)
		if err != nil {
			return nil, err
		}
		e.delay.Store(int64(rushDelay))
		r := together(rushCallers, func(int) error { return get(context.Background(), "api://rush/.default") })
		r.library, r.requests = m.library, e.requests.Load()
		results = append(results, r)
		done()
	}
	return results, nil
}

// measureScopes fetches ten scopes at once.
func measureScopes(id identity) ([]rush, error) {
	var results []rush
	scopes := scopeNames(coldScopes)
	for _, m := range makers() {
		if m.library == nameOAuth2 {
			continue // one token only
		}
		e := newEndpoint()
		get, done, err := m.make(e, id)
		if err != nil {
			return nil, err
		}
		e.delay.Store(int64(coldDelay))
		r := together(coldScopes, func(i int) error { return get(context.Background(), scopes[i]) })
		r.library, r.requests = m.library, e.requests.Load()
		results = append(results, r)
		done()
	}
	return results, nil
}

// together lets n callers go at the same moment.
func together(n int, call func(i int) error) rush {
	var r rush
	var mu sync.Mutex
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			start := time.Now()
			err := call(i)
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			r.slowest = max(r.slowest, took)
			if err != nil {
				r.failed++
			}
		})
	}
	start := time.Now()
	close(gate)
	wg.Wait()
	r.wall = time.Since(start)
	return r
}

// rushChecks hold our own callers, the first of each, against what is promised of them.
func rushChecks(all, scopes []rush) []check {
	ours := all[0]
	return []check{
		{
			fmt.Sprintf("%d callers of a cold key", rushCallers),
			fmt.Sprintf("%d request, %d failed", ours.requests, ours.failed),
			"1 request",
			ours.requests == 1 && ours.failed == 0,
			false,
		},
		atMost(
			fmt.Sprintf("%d cold scopes, endpoint takes %v (about that)", coldScopes, coldDelay),
			scopes[0].wall.Seconds()*1000,
			coldDelay.Seconds()*1000*1.25,
			" ms",
		),
	}
}

// rushTables are a table of callers of one key and one of callers of several.
func rushTables(line func(string, ...any), all, scopes []rush) {
	line("## Many callers")
	line("")
	line(
		"| %s callers of one cold key, endpoint takes %v | requests | slowest caller | failed |",
		thousands(rushCallers),
		rushDelay,
	)
	line("|---|---|---|---|")
	for _, x := range all {
		line("| %s | %s | %s | %d |", label(x.library), thousands(x.requests), duration(x.slowest), x.failed)
	}
	line("")
	line("| %d cold scopes at once, endpoint takes %v | until all are there |", coldScopes, coldDelay)
	line("|---|---|")
	for _, x := range scopes {
		line("| %s | %s |", x.library, duration(x.wall))
	}
	line("")
}
