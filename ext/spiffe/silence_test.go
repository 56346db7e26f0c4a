package spiffe

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A stream may be silent as long as it was allowed to, however often the clock is looked at.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var ended []time.Duration
		s := newSilence(time.Hour, func() { ended = append(ended, time.Since(start)) })
		time.Sleep(30 * time.Minute)
		s.allow(2 * time.Hour)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.Equal(t, []time.Duration{30*time.Minute + 2*time.Hour}, ended)

		s.allow(time.Hour)
		s.stop()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.Len(t, ended, 1)
	})
}

// After the machine has slept the time is over by the clock, though not by the timer.
func TestSilenceWhileTheMachineSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := newSilence(time.Hour, func() { ended = true })
		s.mu.Lock()
		s.clock = time.Now().Round(0) // as if an hour had passed
		s.mu.Unlock()
		time.Sleep(clockPause)
		synctest.Wait()
		assert.True(t, ended)
	})
}
