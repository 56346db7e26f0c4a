package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatWouldTakeTooLongIsLeftOutAndNamed(t *testing.T) {
	unbounded := newBudget(0)
	assert.True(t, unbounded.allows("a year", 365*24*time.Hour))
	assert.Equal(t, time.Hour, unbounded.left(time.Hour))
	assert.Empty(t, *unbounded.omitted)
	b := newBudget(time.Hour)
	assert.True(t, b.allows("a minute", time.Minute))
	assert.False(t, b.allows("a day", 24*time.Hour))
	assert.Equal(t, []string{"a day (24h0m0s)"}, *b.omitted)
	assert.LessOrEqual(t, b.left(2*time.Hour), time.Hour)
	assert.Equal(t, time.Minute, b.left(time.Minute))
}

// The rows of the others with many keys are measured last, and each row once.
func TestEachRowOfARushIsMeasuredOnce(t *testing.T) {
	cfg := settings{rushes: []int{500, manyKeys, 2 * manyKeys}}
	seen := make(map[rushRow]int)
	for _, large := range []bool{false, true} {
		for _, row := range rushRows(cfg, large) {
			isOurs := row.library == nameOurs || row.library == nameLimited
			assert.Equal(t, large, row.keys >= manyKeys && !isOurs, "%v", row)
			seen[row]++
		}
	}
	assert.Len(t, seen, 2*(2*len(rushLibraries)+1), "only we are let through with more than the others can")
	for row, n := range seen {
		assert.Equal(t, 1, n, "%v", row)
	}
}

func TestTheTableOfAPageIsWrittenAnew(t *testing.T) {
	r := &results{hits: hitResults{one: map[string]samples{nameOurs: {80}}, allocs: map[string]float64{nameMSAL: 4}}}
	file := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, r.writeSummary(file), "it needn't be there")
	const text = "before\n\n" + summaryHead + " | x |\n|---|---|\n| old | y |\n\nafter | old |\n\nend\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for range 2 {
		require.NoError(t, r.writeSummary(file))
		now, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, "before\n\n"+r.summaryTable()+"\nafter | old |\n\nend\n", string(now))
	}
	assert.Contains(t, r.summaryTable(),
		"| a cached token, one in the cache | 80 ns, 0 allocations | not measured, 4 |")
	require.NoError(t, os.WriteFile(file, []byte("no table\n"), 0o600))
	assert.ErrorContains(t, r.writeSummary(file), "has no table")
}

// The page keeps the line that the program looks for.
func TestThePageHasTheTable(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	require.NoError(t, err)
	assert.Contains(t, string(text), "\n"+summaryHead)
}

func TestFiguresOfABenchmark(t *testing.T) {
	figures := figuresOf(" 1\t 3055 median-ns\t 43685 p99.9-ns\t 127910 slowest-alone-ns\t 646750 slowest-ns")
	assert.Equal(t, map[string]float64{stepMedian: 3055, step999: 43685, stepAlone: 127910, stepMost: 646750}, figures)
}
