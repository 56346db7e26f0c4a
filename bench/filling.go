package main

import (
	"context"
	"runtime"
	"time"
)

// filling is what one more token costs when a cache holds so many.
type filling struct {
	library string
	at      map[int]samples // by number of tokens
}

// fillSpan is how many tokens are taken together.
const fillSpan = 500

// measureFilling measures ours. That of the others is noted where they are filled for
// their hits, because it takes minutes.
func measureFilling(cfg settings, id identity, others []filling) ([]filling, error) {
	ours := filling{library: nameOurs, at: make(map[int]samples)}
	for range cfg.rounds {
		client, err := newOurs(newEndpoint(), id.free)
		if err != nil {
			return nil, err
		}
		if err := fillOnce(acquireOurs(client), []int{1_000, 10_000}, 10_000, ours.at); err != nil {
			return nil, err
		}
		if err := client.Close(); err != nil {
			return nil, err
		}
	}
	return append([]filling{ours}, others...), nil
}

// fillOnce fills a cache up to limit and notes what the tokens around each size
// cost: the collector's work is spread over all of them, as it is in life.
func fillOnce(get acquire, sizes []int, limit int, at map[int]samples) error {
	ctx := context.Background()
	scopes := scopeNames(limit)
	runtime.GC()
	for i, next := 0, 0; i < limit && next < len(sizes); {
		until := min(sizes[next]-fillSpan, limit)
		for ; i < until; i++ {
			if err := get(ctx, scopes[i]); err != nil {
				return err
			}
		}
		if sizes[next] > limit {
			break
		}
		start := time.Now()
		for ; i < sizes[next]; i++ {
			if err := get(ctx, scopes[i]); err != nil {
				return err
			}
		}
		at[sizes[next]] = append(at[sizes[next]], float64(time.Since(start))/fillSpan)
		next++
	}
	return nil
}

// fillingChecks hold ours, the first, against what is promised.
func fillingChecks(all []filling) []check {
	ours := all[0].at
	if ours[10_000] == nil {
		return nil
	}
	return []check{atMost(
		"filling: the 10,000th token : the 1,000th (the same, within 15 %)",
		ours[10_000].over(ours[1_000]),
		1.15,
		" ×",
	)}
}
