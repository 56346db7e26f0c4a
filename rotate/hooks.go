package rotate

import (
	"time"
)

// Hooks are functions that a [Rotation] calls; any may be nil. They are called from the
// goroutine that makes the step, which waits until they return. No Event holds a secret.
type Hooks struct {
	Done   func(Event) // a step was made, and its result is recorded
	Failed func(Event) // a step failed, and is tried again from Event.Due on
	Orphan func(Event) // Event.Old must be removed from the registration by hand
}

// Event is the argument of a hook. Fields that don't belong to the event are zero.
type Event struct {
	Step     Step      // that was made or failed
	Next     Step      // what comes next
	Due      time.Time // when
	Old, New Key
	Err      error  // why the step failed
	Failures int    // in a row
	Advice   string // what to do by hand if it goes on failing
}
