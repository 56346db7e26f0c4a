package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// postponeCollection has the first garbage collection come at 16 MB of memory instead of
// at 4 MB. A command that gets one token needs about 4 MB, most of them for the root
// certificates of the system, and so it ends without one. From the first collection on,
// everything is as usual. $GOGC is obeyed.
func postponeCollection() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(400)
	runtime.SetFinalizer(new(collected), func(*collected) { debug.SetGCPercent(usual) })
}

// collected is what the first collection finds. It has a pointer because the runtime
// puts small values without one together, and frees them only together.
type collected struct{ _ *int }
