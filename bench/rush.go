package main

import (
	"context"
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
