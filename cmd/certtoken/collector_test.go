package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAfterTheFirstCollectionAllIsAsUsual(t *testing.T) {
	t.Setenv("GOGC", "")
	before := collectorPercent()
	defer debug.SetGCPercent(before)
	postponeCollection()
	assert.Equal(t, 400, collectorPercent())
	assert.Eventually(t, func() bool {
		runtime.GC()
		return collectorPercent() == before
	}, time.Minute, time.Millisecond)
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
