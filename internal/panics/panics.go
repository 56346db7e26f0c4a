// Package panics makes an error of what a part of the program panicked with. It
// never repeats what the panic said, which could be a secret.
package panics

import (
	"fmt"
	"runtime"
	"strings"
)

// Error says which part of the program panicked and in which function. Call it
// from the deferred function that recovered.
func Error(part string, p any) error {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("%s panicked (%s) in %s", part, what, frame.Function)
		}
		if !more {
			return fmt.Errorf("%s panicked (%s)", part, what)
		}
	}
}
