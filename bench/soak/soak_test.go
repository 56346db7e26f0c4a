package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestSoak is a short run, so that the program stays one that runs.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes six seconds: not with -short")
	}
	defer goleak.VerifyNone(t)
	s, err := newSoak(0.25)
	require.NoError(t, err)
	require.NoError(t, s.run(6*time.Second, 16))
	require.NotZero(t, s.callers.Calls.Load())
}
