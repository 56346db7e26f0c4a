package times

import (
	"testing"
	"time"
)

// Days are rounded to the nearest, and the last two are counted in hours.
func TestDays(t *testing.T) {
	const day = 24 * time.Hour
	for left, want := range map[time.Duration]string{
		365*day - time.Second:   "365 days",
		365*day + time.Hour:     "365 days",
		30*day + 11*time.Hour:   "30 days",
		30*day + 13*time.Hour:   "31 days",
		2 * day:                 "2 days",
		2*day - time.Minute:     "47 hours",
		time.Hour:               "60 minutes",
		59 * time.Second:        "59 seconds",
		36500*day - time.Second: "36500 days",
	} {
		if got := Days(left); got != want {
			t.Errorf("%v: %s, want %s", left, got, want)
		}
	}
}
