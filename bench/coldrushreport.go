package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// inFlight is how many exchanges one of our clients has under way by default, and so
// the connections that it may have.
const inFlight = 32

// coldRushChecks hold our own rows against what is promised of a rush.
func coldRushChecks(all []coldRush) []check {
	if len(all) == 0 {
		return nil
	}
	failed, most, slowest, requests, memory := 0, int64(0), 0.0, int64(0), 0.0
	for _, r := range all {
		if r.library != nameOurs && r.library != nameLimited {
			continue
		}
		failed += r.outcome.Failed
		if r.library == nameOurs { // where a transport closes connections, the endpoint sees it late
			most = max(most, r.sight.AtOnce)
		}
		slowest = max(slowest, r.outcome.Last.Seconds()/r.signatures.Seconds())
		requests = max(requests, r.sight.Requests-int64(r.keys))
		if r.keys >= peersRush {
			memory = max(memory, float64(r.outcome.Peak)/float64(r.keys))
		}
	}
	list := []check{
		atMost("rush on many cold keys, with either of our transports: failed calls", float64(failed), 0, ""),
		atMost("the same, our own connections: at once", float64(most), inFlight, ""),
		atMost("the same, with either: requests beyond one for each key", float64(requests), 0, ""),
		atMost("the same: the last call : the signatures alone (about that)", slowest, 2, " ×"),
	}
	if memory > 0 {
		list = append(list, atMost("the same, 10,000 keys or more: memory of the callers' process for each of them, with its "+
			"goroutine", memory, 32<<10, unitBytes))
	}
	return list
}

// coldRushTables are a table for each size and protocol.
func coldRushTables(line func(string, ...any), all []coldRush) {
	if len(all) == 0 {
		return
	}
	line("## A rush on many cold keys")
	for i, r := range all {
		if i == 0 || all[i-1].keys != r.keys || all[i-1].http2 != r.http2 {
			line("")
			line("| %s cold keys at once, %s | failed | connections opened | at once | requests | last call | "+
				"the signatures alone | memory of the callers |", thousands(int64(r.keys)), protocol(r.http2))
			line("|---|---|---|---|---|---|---|---|")
		}
		line("| %s | %s | %s | %s | %s | %s | %s | %.0f MB |", label(r.library), thousands(int64(r.outcome.Failed)),
			thousands(r.sight.Opened), thousands(r.sight.AtOnce), thousands(r.sight.Requests),
			duration(r.outcome.Last), duration(r.signatures), float64(r.outcome.Peak)/1e6)
	}
	line("")
	line("Each row is a token endpoint in a process of its own (TLS on loopback) and a process of " +
		"callers, each with as many goroutines as there are keys. Callers give no limit of their own. The libraries use " +
		"the connections that they use by default; x/oauth2 is a source for each key, with `http.DefaultClient`. `At once` " +
		"are the connections at the peak. The signatures alone are what as many take on all cores, measured in the same " +
		"process just before: beside them the callers and the endpoint share the same cores.")
	if failures := failures(all); failures != "" {
		line("")
		line("Failures: %s.", failures)
	}
}

// failures are the kinds of errors, by library and number.
func failures(all []coldRush) string {
	var list []string
	for _, r := range all {
		for _, what := range slices.Sorted(maps.Keys(r.outcome.Errors)) {
			list = append(list, fmt.Sprintf("%s, %s keys, %s: %s × `%s`", r.library, thousands(int64(r.keys)),
				protocol(r.http2), thousands(int64(r.outcome.Errors[what])), what))
		}
	}
	return strings.Join(list, "; ")
}
