// Package load is what the soaks have in common: callers that judge what they
// get, an endpoint's faults, a certificate that is renewed on disk, and the
// look at what a process uses.
package load

import (
	"context"
	"time"
)

// Sleep waits, and reports whether it wasn't cut short.
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
