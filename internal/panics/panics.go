// Package panics makes an error of what a user's code panicked with.
package panics

import (
	"fmt"
	"runtime"
	"strings"
)

// Error tells where a panic was, and not what it said: that could be a secret.
// Call it from the deferred function that recovered.
func Error(p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("a source, signer or hook panicked (%s) in %s", what, frame.Function)
		}
		if !more {
			return fmt.Errorf("a source, signer or hook panicked (%s)", what)
		}
	}
}
