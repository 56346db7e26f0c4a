// Package times writes points in time and spans of it for people.
package times

import (
	"fmt"
	"time"
)

// Local is a time in the local zone, and how far off it is.
func Local(at, now time.Time) string {
	return at.Local().Format("2006-01-02 15:04:05 MST") + ", " + Relative(at.Sub(now))
}

// Relative is a span from now: "in 2 hours", "3 days ago".
func Relative(d time.Duration) string {
	if d.Abs() < time.Second {
		return "now"
	}
	if d < 0 {
		return Span(-d) + " ago"
	}
	return "in " + Span(d)
}

const day = 24 * time.Hour

// Span is a duration in the largest unit of which it has at least two, cut to
// whole ones.
func Span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= 2*unit.size {
			return plural(int64(d/unit.size), unit.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

// Days rounds to whole days: a certificate that was just made for a year has
// 365 left. The last two days are counted in hours.
func Days(d time.Duration) string {
	if d < 2*day {
		return Span(d)
	}
	return plural(int64(d.Round(day)/day), "day")
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
