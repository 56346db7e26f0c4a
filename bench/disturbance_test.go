package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A time that misses its mark is held against the library only on a quiet machine. What
// isn't a time is held against it in any case.
func TestVerdict(t *testing.T) {
	quiet, busy := new(disturbance), new(disturbance)
	quiet.note(time.Second, 990*time.Millisecond)
	busy.note(time.Second, 600*time.Millisecond)
	assert.False(t, quiet.busy())
	assert.True(t, busy.busy())
	assert.Contains(t, busy.String(), "40 % of one processor's time")
	slow, many := atMost("", 3, 2, " ×"), atMost("", 3, 2, "")
	assert.Equal(t, "**missed**", verdict(slow, quiet.busy()))
	assert.Equal(t, "machine was busy: not judged", verdict(slow, busy.busy()))
	assert.Equal(t, "**missed**", verdict(many, busy.busy()))
	assert.Equal(t, "**missed**", verdict(atMost("", 3, 2, unitBytes), busy.busy()))
	assert.Equal(t, "met", verdict(atMost("", 1, 2, " ×"), busy.busy()))
	quiet.probe()
	assert.GreaterOrEqual(t, quiet.all.lost(), 0.0)
}

// A serial measurement doesn't count the time in which it had no processor.
func TestSerialTimesAreTheProcessors(t *testing.T) {
	if _, known := threadTime(); !known {
		t.Skip("the processor's time of a thread isn't known on this system")
	}
	d := new(disturbance)
	cfg := settings{rounds: 1, piece: time.Millisecond, pieces: 1, disturbed: d}
	const sleep = 50 * time.Millisecond // far more than it takes to fall asleep and to wake up
	r := compare(cfg, 1, subject{"sleeps", func(int) { time.Sleep(sleep) }})
	assert.Less(t, r["sleeps"].median(), float64(sleep)/2)
	assert.Greater(t, d.one.lost(), 0.5)
}
