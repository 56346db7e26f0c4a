package main

import (
	"context"
	"runtime"
	"strings"
)

// memory is what a cached token takes of the heap.
type memory struct {
	library string
	tokens  int
	bytes   float64
}

func measureMemory(cfg settings, id identity) ([]memory, error) {
	const ours = 10_000
	peers := min(2_000, cfg.peers)
	scopes := scopeNames(ours)
	var results []memory
	for _, m := range makers() {
		n := peers
		switch m.library {
		case nameOurs:
			n = ours
		case nameOAuth2:
			continue // one token only
		}
		bytes, err := memoryOf(m, identity{cert: id.free, free: id.free}, scopes[:n])
		if err != nil {
			return nil, err
		}
		results = append(results, memory{m.library, n, bytes})
	}
	e := newEndpoint()
	before := liveHeap()
	tokens := newBareMap(scopes, e)
	after := liveHeap()
	runtime.KeepAlive(tokens)
	return append(results, memory{nameMap, ours, float64(after-before) / ours}), nil
}

// memoryOf fills a cache that has already done everything that it does once.
// Keys are copies: a cache that keeps its caller's string pays for it.
func memoryOf(m maker, id identity, scopes []string) (float64, error) {
	get, done, err := m.make(newEndpoint(), id)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx := context.Background()
	if err := get(ctx, "api://first/.default"); err != nil {
		return 0, err
	}
	before := liveHeap()
	for _, scope := range scopes {
		if err := get(ctx, strings.Clone(scope)); err != nil {
			return 0, err
		}
	}
	after := liveHeap()
	runtime.KeepAlive(get)
	return float64(after-before) / float64(len(scopes)), nil
}

func memoryChecks(all []memory) (list []check) {
	for _, m := range all {
		if m.library == nameOurs {
			list = append(list, atMost("bytes for a cached token of 1,536", m.bytes, tokenSize+400, ""))
		}
	}
	return list
}

// heapOf is what a table says of a library's memory.
func heapOf(library string, all []memory) string {
	for _, m := range all {
		if m.library == library {
			return thousands(int64(m.bytes + 0.5))
		}
	}
	return notMeasured
}
