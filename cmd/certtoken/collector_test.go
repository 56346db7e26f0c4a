package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAfterTheFirstCollectionAllIsAsUsual(t *testing.T) {
	t.Setenv("GOGC", "")
	before := collectorPercent()
	defer debug.SetGCPercent(before)
	// A collection may come just then, for this process does other things too. All is as usual
	// after it, so it is postponed anew, until the test has seen that.
	for postponed := time.Now(); ; {
		postponeCollection()
		if percent := collectorPercent(); percent != before {
			assert.Equal(t, 400, percent)
			break
		}
		require.Less(t, time.Since(postponed), patience, "nothing is postponed")
	}
	assert.Eventually(t, func() bool {
		runtime.GC()
		return collectorPercent() == before
	}, patience, time.Millisecond)
}

func TestTheCollectorIsTheUsersIfTheySayHow(t *testing.T) {
	t.Setenv("GOGC", "off")
	before := collectorPercent()
	postponeCollection()
	assert.Equal(t, before, collectorPercent())
}

// collectorPercent is what $GOGC or debug.SetGCPercent has set.
func collectorPercent() int {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(percent)
	return int(percent[0].Value.Uint64())
}
