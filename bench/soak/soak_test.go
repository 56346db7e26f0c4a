package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	require.InEpsilon(t, 500*time.Microsecond, h.at(0.5), 0.15)
	require.InEpsilon(t, 990*time.Microsecond, h.at(0.99), 0.15)
	require.Equal(t, time.Millisecond, h.at(1))
	for _, d := range []time.Duration{0, 1, 7, 8, 9, 1000, time.Hour} {
		require.LessOrEqual(t, d, upper(step(d)))
	}
}

// TestSoak is a short run, so that the program stays one that runs.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes six seconds: not with -short")
	}
	defer goleak.VerifyNone(t)
	s, err := newSoak(0.25)
	require.NoError(t, err)
	require.NoError(t, s.run(6*time.Second, 16))
	require.NotZero(t, s.calls.Load())
}
