package certtoken_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Every test cleans up after itself: no goroutine, timer or connection of a
// client outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
