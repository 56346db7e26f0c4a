package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test's own program is also the endpoint and the callers.
func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	os.Exit(m.Run())
}

// TestColdRush lets every library through with few keys: each gets its tokens, one
// request for each, over the protocol that was asked for.
func TestColdRush(t *testing.T) {
	const keys = 40
	cfg := settings{rushes: []int{keys}}
	rows := rushRows(cfg, false)
	require.Len(t, rows, 2*len(rushLibraries))
	for _, row := range rows {
		t.Run(fmt.Sprint(row.library, ", ", protocol(row.http2)), func(t *testing.T) {
			r := undisturbedRush(t, cfg, row)
			assert.Zero(t, r.outcome.Failed, "%v", r.outcome.Errors)
			assert.EqualValues(t, keys, r.sight.Requests)
			assert.Positive(t, r.sight.Opened)
			assert.LessOrEqual(t, r.sight.AtOnce, r.sight.Opened)
			assert.Positive(t, r.outcome.Last)
			assert.Positive(t, r.signatures)
		})
	}
}

// undisturbedRush measures a row, again if the machine was so busy that a request can have
// reached its time limit: then it fails, or is made once more, and nothing can be told.
func undisturbedRush(t *testing.T, cfg settings, row rushRow) coldRush {
	t.Helper()
	const shortest = 10 * time.Second // of the limits that the libraries have for one attempt
	for range 5 {
		all, err := measureColdRush(cfg, func(string) {}, []rushRow{row})
		require.NoError(t, err)
		require.Len(t, all, 1)
		if all[0].outcome.Last < shortest {
			return all[0]
		}
	}
	t.Skipf("the machine is too busy: calls take over %v", shortest)
	return coldRush{}
}

// Where nobody answers, the calls fail, and the table says of what.
func TestColdRushFails(t *testing.T) {
	r := coldRush{library: nameOAuth2, keys: 3}
	require.NoError(t, callersOnce(&r, rushLimit, "127.0.0.1:1", os.DevNull))
	assert.Equal(t, 3, r.outcome.Failed)
	assert.Equal(t, map[string]int{"connection refused": 3}, r.outcome.Errors)
	r.signatures = time.Second
	var b strings.Builder
	coldRushTables(func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }, []coldRush{r})
	assert.Contains(t, b.String(), "| x/oauth2 `ReuseTokenSource` | 3 |")
	assert.Contains(t, b.String(), "3 × `connection refused`")
}

// A rush is held against what is promised of our own rows, and of no others.
func TestColdRushChecks(t *testing.T) {
	good := coldRush{
		library: nameOurs, keys: 100, signatures: time.Second,
		outcome: outcome{Last: time.Second}, sight: sight{Requests: 100, AtOnce: inFlight},
	}
	bad := good
	bad.outcome, bad.sight = outcome{Failed: 1, Last: time.Minute}, sight{Requests: 101, AtOnce: inFlight + 1}
	for name, c := range map[string]struct {
		library string
		met     bool
	}{
		"ours":            {nameOurs, false},
		"another library": {nameMSAL, true},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bad
			bad.library = c.library
			for _, check := range coldRushChecks([]coldRush{good, bad}) {
				assert.Equal(t, c.met, check.met, check.what)
			}
		})
	}
}
