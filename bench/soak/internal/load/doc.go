// Package load has the parts of a soak that don't know of other processes: callers
// that judge what they get, an endpoint's faults, a certificate that is renewed on
// disk, and readings of the memory, goroutines and files that a process uses.
package load

import (
	"context"
	"time"
)

// Sleep waits for d, and reports whether it did so to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
