package main

// check is a figure of issue 4 ("It must show") and what came out.
type check struct {
	what   string
	is     string
	wanted string
	met    bool
	timed  bool // it is a time, or a ratio of times: on a busy machine it isn't judged
}

func atMost(what string, is, limit float64, unit string) check {
	return check{what, number(is) + unit, "≤ " + number(limit) + unit, is <= limit, isTimed(unit)}
}

func atLeast(what string, is, limit float64, unit string) check {
	return check{what, number(is) + unit, "≥ " + number(limit) + unit, is >= limit, isTimed(unit)}
}

// isTimed reports whether a figure of this unit is one of time.
func isTimed(unit string) bool { return unit != "" && unit != unitBytes }

const unitBytes = " bytes"

// verdict is what is to be said of a check, on a machine that was busy or not.
func verdict(c check, busy bool) string {
	switch {
	case c.met:
		return "met"
	case c.timed && busy:
		return "machine was busy: not judged"
	}
	return "**missed**"
}

// checkTable is a table of checks, and on what machine they were measured.
func checkTable(line func(string, ...any), checks []check, d *disturbance) {
	line("| | measured | wanted | |")
	line("|---|---|---|---|")
	for _, c := range checks {
		line("| %s | %s | %s | %s |", c.what, c.is, c.wanted, verdict(c, d.busy()))
	}
	line("")
	line("%s", d)
}
