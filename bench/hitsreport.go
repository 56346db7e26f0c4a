package main

import (
	"fmt"
	"runtime"
)

// hitChecks hold a hit against what is promised of it.
func hitChecks(h hitResults, sizes []int) []check {
	one, paral := h.one, h.oneParal
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
	if at := h.bySize[10_000]; at[nameMSAL] != nil {
		list = append(list, atLeast("MSAL Go's hit : ours, 10,000 tokens", at[nameMSAL].over(at[nameOurs]), 1000, " ×"))
	}
	for _, size := range sizes {
		if size != 10 && size != 100 {
			at := h.bySize[size]
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
		most = max(most, h.allocs[name])
	}
	return append(
		list,
		atMost("three scopes in any order : one scope", one[subjectSeveral].over(one[nameOurs]), 2, " ×"),
		atMost("allocations of a hit, by `Token`, TokenSource, several scopes", most, 0, ""),
		atMost("goroutines of a client with cached tokens", float64(h.routines), 0, ""),
	)
}

// hitTables are one with one token in the cache, and two by the number of tokens. The others
// were measured with peers of them at the most.
func hitTables(line func(string, ...any), h hitResults, sizes []int, peers int) {
	line("## A cached token")
	line("")
	line("| one token in the cache | serial | parallel | allocations |")
	line("|---|---|---|---|")
	for _, name := range []string{nameOurs, subjectHandle, subjectSeveral, nameOAuth2, nameMSAL, nameAzidentity, nameMap, subjectClock} {
		line(
			"| %s | %s | %s | %.0f |",
			label(name),
			cell(h.one[name]),
			cell(h.oneParal[name]),
			h.allocs[name],
		)
	}
	line("")
	line(
		"Parallel is %d callers at once, wall time for one call. The bare clock, which shares nothing, ran %s × as fast in parallel: so much of the processor was there for it.",
		runtime.GOMAXPROCS(0),
		number(h.one[subjectClock].over(h.oneParal[subjectClock])),
	)
	line("")
	line("Any of n tokens, in no order, serial:")
	line("")
	growthTable(line, h.bySize, sizes)
	line("")
	line("The same, parallel:")
	line("")
	growthTable(line, h.bySizePl, sizes)
	line("")
	line(
		"`map` is a map of tokens under an RWMutex, and a look at `time.Now`: what a lookup costs that does nothing else. More than %s in MSAL Go and azidentity is not measured: each looks through a list, and so does every token that is added. x/oauth2 holds one token.",
		tokens(peers),
	)
	line("")
}

// growthTable is what a hit costs by the number of tokens.
func growthTable(line func(string, ...any), by map[int]map[string]samples, sizes []int) {
	head, rule := "| |", "|---|"
	for _, size := range sizes {
		head += " " + thousands(int64(size)) + " |"
		rule += "---|"
	}
	line("%s", head)
	line("%s", rule)
	for _, name := range []string{nameOurs, nameMap, nameMSAL, nameAzidentity} {
		row := "| " + label(name) + " |"
		for _, size := range sizes {
			row += " " + cell(by[size][name]) + " |"
		}
		line("%s", row)
	}
}
